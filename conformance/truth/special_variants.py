"""Special values of variants (docs/variants.md): those of section 4 of the specification for the logits that the op
sees, with what a squared log-sum-exp and a weight of a row change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lossproof.core.batch import Batch, Bools
from lossproof.truth.expected import ANY, OVERFLOW, Expected
from lossproof.truth.oracle.enclosure import Core
from lossproof.truth.row_quantities import MANY_POS, MASKED, ONE_POS, Rows
from lossproof.truth.special_values import overlay


def overlay_variant(batch: Batch, rows: Rows, core: Core, unjudged: NDArray[np.bool_]) -> dict[str, Expected]:
    """Put special values onto the enclosures of regular rows of a variant."""
    if not batch.is_loss:
        found = overlay(batch, rows, core, unjudged)
        return _with_slopes(batch, rows, found)
    weight = np.ones(batch.kept.shape) if batch.row_weight is None else batch.row_weight
    with np.errstate(all="ignore"):
        # Without a z-loss a square that overflows is none.
        squares = batch.z_loss * log_sum_exp(batch, rows) ** 2 if batch.z_loss else np.zeros(batch.kept.shape)
        squared = np.where(batch.kept & (rows.kind <= MASKED), squares, 0.0)
        c = np.where(rows.c == 0, 0.0, rows.c * weight[..., None])
        whole = replace(
            rows,
            c=c,
            Q=c.sum(axis=-1, keepdims=True),
            row_loss=np.where(squared == 0, 0.0, weight * squared) + weight * rows.row_loss,
        )
        found = overlay(batch, whole, core, unjudged)
        return _undefined(batch, rows, _crowded(batch, rows, found))


def log_sum_exp(batch: Batch, rows: Rows) -> NDArray[np.float64]:
    """The log-sum-exp of each row (B, N), of rows that are not regular some number."""
    m = np.where(rows.absent | ~np.isfinite(batch.x), -np.inf, batch.x).max(axis=-1, initial=-np.inf)
    return np.where(np.isfinite(m), m, 0.0) + rows.log_s[..., 0]


def _crowded(batch: Batch, rows: Rows, found: Mapping[str, Expected]) -> dict[str, Expected]:
    """Clause 7: what overflows in the IO format, to which each step may be rounded: the square of a log-sum-exp before
    its factor, a row before the reduction, a row of the gradient in z times the cap."""
    limit, weight = batch.fmt.max * (1 - 4 * batch.fmt.u), np.ones(batch.kept.shape)
    weight = weight if batch.row_weight is None else np.abs(batch.row_weight)
    size = np.abs(log_sum_exp(batch, rows)) if batch.z_loss else np.zeros(batch.kept.shape)
    row = np.maximum(1.0, weight) * (np.abs(rows.row_loss) + batch.z_loss * size**2)
    slope = np.maximum(1.0, np.abs(rows.c).sum(-1) + 2 * batch.z_loss * size) * np.maximum(1.0, batch.softcap)
    large = {"value": (size**2 >= limit) | (row >= limit), "vjp": np.abs(rows.row_scale) * slope >= limit}
    return {name: _excused(e, large.get(name, large["vjp"]) & batch.kept) for name, e in found.items()}


def _excused(e: Expected, rows: Bools) -> Expected:
    return e if not rows.any() else _accepting(e, _spread(rows, e) & ~e.strict, OVERFLOW, 7)


def _undefined(batch: Batch, rows: Rows, found: Mapping[str, Expected]) -> dict[str, Expected]:
    """Rows with +inf that nothing caps are not judged, nor is what they are reduced with."""
    odd = ((rows.kind == ONE_POS) | (rows.kind == MANY_POS)) & batch.kept
    if not odd.any():
        return dict(found)
    return {name: _accepting(e, _spread(odd, e), ANY, 0) for name, e in found.items()}


def _with_slopes(batch: Batch, rows: Rows, found: Mapping[str, Expected]) -> dict[str, Expected]:
    """Of softmax and log-softmax: the clauses that speak of infinite logits hold for the value, which the cap takes
    away; the gradient of a row with +inf is not judged."""
    odd = (rows.kind == ONE_POS) | (rows.kind == MANY_POS)
    if not odd.any():
        return dict(found)
    return {name: e if name == "value" else _accepting(e, _spread(odd, e), ANY, 0) for name, e in found.items()}


def _spread(rows: Bools, e: Expected) -> Bools:
    """Entries of an output that come from some rows."""
    shape = e.exact.mid.shape
    if len(shape) == 3:
        return np.broadcast_to(rows[..., None], shape)
    return rows if shape == rows.shape and shape[1] != 1 else np.broadcast_to(rows.any(axis=1, keepdims=True), shape)


def _accepting(e: Expected, where: Bools, accept: int, clause: int) -> Expected:
    """Accept more at some entries."""
    codes, clauses = e.accept.copy(), e.clause.copy()
    codes[where] |= accept
    clauses[where] = np.maximum(clauses[where], clause) if clause else 0
    return replace(e, accept=codes, clause=clauses)
