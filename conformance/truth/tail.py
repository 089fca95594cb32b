"""The tail: results so small that the bound holds for 0 as well, and how accurate they may be all the same.

1 - p of a confident class is the sum of the other probabilities, and its -log p is log1p of their share. Computed so,
they keep the relative accuracy of these; as differences from 1, or from a maximum, they do not. docs/bounds.md, section
9, says which entries are graded and by what.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from lossproof.core.batch import Batch, Bools
from lossproof.core.formats import F64, FLOAT64
from lossproof.truth.bounds.error_model import Model, log_loss, t
from lossproof.truth.bounds.softmax import EXP_CAP, exp_error
from lossproof.truth.expected import Expected
from lossproof.truth.row_quantities import FINITE, MASKED, Rows

# A result is graded where an accurate one has two bits, and rows where the other classes have so little.
BITS, CONFIDENT = 0.25, 16.0


@dataclass(frozen=True)
class Tail:
    """The graded entries of one output of a batch, their results, and how far an accurate implementation is off."""

    graded: Bools
    exact: F64
    allowed: F64

    def keeps(self, got: F64, i: int) -> bool | None:
        """Say whether the output of problem ``i`` keeps its relative accuracy; None where nothing is graded."""
        graded = self.graded[i]
        if not graded.any():
            return None
        with np.errstate(invalid="ignore"):
            return bool((np.abs(got - self.exact[i]) <= self.allowed[i])[graded].all())


def tails(
    batch: Batch, rows: Rows, model: Model, expected: Mapping[str, Expected], allowed: Mapping[str, F64]
) -> dict[str, Tail]:
    """Find the graded entries of values and VJPs, by output: those of a model's bound, in the batch's layout."""
    if (
        batch.is_variant
        or batch.op == "nll_loss"
        or batch.k < 2
        or batch.product_error is not None
        or batch.back is not None
    ):
        return {}
    with np.errstate(all="ignore"):
        rho = _relative_error(batch, rows, model)
        regular = ((rows.kind == FINITE) | (rows.kind == MASKED))[..., None]
        confident = regular & (rows.log_s > 0) & (rows.log_s < CONFIDENT * rho)
        if not confident.any():
            return {}
        # The results are those of float64, in formulas without cancellation: its own error counts, too.
        own = _relative_error(batch, rows, replace(model, fmt=FLOAT64, profile="W"))
        found = {"value": _value(batch, rows)} if batch.op != "softmax" else {}
        if "vjp" in expected:
            found["vjp"] = _vjp(batch, rows)
        return {
            name: made
            for name, (exact, size) in found.items()
            if (made := _graded(batch, exact, size, expected[name], allowed[name], confident, rho + own, model))
            is not None
        }


def _graded(
    batch: Batch, exact: F64, size: F64, expected: Expected, allowed: F64, confident: Bools, rho: F64, model: Model
) -> Tail | None:
    if exact.ndim == 2:
        # Losses: of rows, or one for all of those that are kept.
        whole, kept = exact.shape != confident.shape[:2], batch.kept[..., None]
        confident = np.asarray((confident | ~kept).all(axis=1) if whole else confident[..., 0])
        rho = np.where(kept, rho, 0.0).max(axis=1) if whole else rho[..., 0]
    limit = rho * size
    floor = max(model.fmt.min_normal, model.tau / model.u_o)
    small = (np.abs(exact) >= floor) & (np.abs(exact) <= allowed) & (limit <= BITS * np.abs(exact))
    graded = small & confident & np.isfinite(expected.exact.mid) & (expected.accept == 0) & ~expected.strict
    if expected.other is not None:
        graded &= expected.other.mid == expected.exact.mid
    return Tail(graded, exact, limit) if graded.any() else None


def _relative_error(batch: Batch, rows: Rows, model: Model) -> F64:
    """rho of section 9, (B, N, 1)."""
    shifted = np.where(rows.p >= model.fmt.sums.min_normal, np.abs(rows.shifted), 0.0)
    a = model.c_d * t(model.u_i) * shifted.max(axis=-1, keepdims=True, initial=0.0)
    h_k = model.roundings_of_sum(batch.k)
    narrow = 3 if model.narrow else 1
    rounded = narrow * log_loss(model.u_o) if model.sixteen else 0.0
    log = 2 * model.contract.log * model.fmt.sums.u
    p = 2 * (a + exp_error(model)) + h_k * t(model.u_s) + model.division + log * rows.log_s + rounded
    rest = (h_k + 8) * t(model.u_i) + log + 4 * rounded
    if batch.reduction in ("sum", "mean"):
        rest += (2 * model.roundings_of_sum(batch.n) + model.contract.division + 1) * t(model.u_s)
    return np.expm1(np.minimum(2 * p + rest, EXP_CAP))


def _value(batch: Batch, rows: Rows) -> tuple[F64, F64]:
    """log p, or the loss, and the sum of the magnitudes of its terms."""
    if not batch.is_loss:
        return rows.log_p, np.abs(rows.log_p)
    terms = np.where(rows.c == 0, 0.0, rows.c * rows.log_p)
    exact, size = -terms.sum(axis=-1), np.abs(terms).sum(axis=-1)
    if batch.reduction == "none":
        return exact, size
    exact, size = exact.sum(axis=1, keepdims=True), size.sum(axis=1, keepdims=True)
    return (exact / rows.denominator, size / np.abs(rows.denominator)) if batch.reduction == "mean" else (exact, size)


def _vjp(batch: Batch, rows: Rows) -> tuple[F64, F64]:
    """The VJP, ``a_i (1 - p_i)`` less what the other classes have, and the same of magnitudes."""
    # sanity check: a VJP has a cotangent
    assert batch.cot is not None
    p, rest = rows.p, -np.expm1(rows.log_p)
    if batch.op == "softmax":
        own, others = batch.cot * rest, _of_others(p * batch.cot, p)
        size = p * (np.abs(own) + _of_others(p * np.abs(batch.cot), p))
        return p * (own - others), size
    a, g = (batch.cot, 1.0) if batch.op == "log_softmax" else (-rows.c, rows.row_scale[..., None])
    size = np.abs(g) * (np.abs(a) * rest + p * _of_others(np.abs(a), p))
    return g * (a * rest - p * _of_others(a, p)), size


def _of_others(terms: F64, p: F64) -> F64:
    """The sum of the terms of all other classes: that of the likeliest is left out, not subtracted."""
    top = np.argmax(p, axis=-1)[..., None]
    small = terms.copy()
    np.put_along_axis(small, top, 0.0, axis=-1)
    total = small.sum(axis=-1, keepdims=True)
    found = np.take_along_axis(terms, top, axis=-1) + (total - small)
    np.put_along_axis(found, top, total, axis=-1)
    return found
