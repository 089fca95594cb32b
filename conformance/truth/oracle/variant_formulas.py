"""Variants of the ops in balls: what docs/variants.md defines, value and gradient.

Logits are scaled and capped, the op is that of the specification, and a loss has the squared log-sum-exp and a weight
for each row besides.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from flint import arb

from lossproof.core.batch import Batch
from lossproof.core.formats import F64
from lossproof.truth.oracle.formulas import loss_coefficients, reduced_rows
from lossproof.truth.oracle.number_systems import Balls, Num, Numbers, enclose, precision
from lossproof.truth.row_quantities import MASKED, Rows, label_weights, largest_at

# Beyond it 1 - tanh^2 is below 4 exp(-2 * 20000) < 10^-17000.
_SATURATED, _NOTHING = 20000.0, 1e-300
_BITS = 128


def transformed(batch: Batch) -> Batch:
    """Return a batch with the logits that the op sees, as the sum of two float64 numbers; ``raw`` are those given.

    A batch without scale and cap stays as it is.
    """
    if batch.logit_scale == 1.0 and batch.softcap == 0.0:
        return batch
    with precision(_BITS):
        parts = np.array([enclose(v) for v in _logits(batch.x, batch).ravel()], dtype=np.float64).reshape(
            *batch.x.shape, 3
        )
    finite = np.isfinite(batch.x)
    with np.errstate(invalid="ignore", over="ignore"):
        limit = _limit(batch)
    high = np.where(finite, parts[..., 0], limit)
    return replace(batch, x=high, low=np.where(finite, parts[..., 1], 0.0), raw=batch.x)


def _limit(batch: Batch) -> F64:
    """What the logits that are not finite become: NaN stays, an infinity is capped, or takes the sign of the scale."""
    scaled = batch.x * batch.logit_scale
    return np.where(np.isnan(scaled), np.nan, np.copysign(batch.softcap or np.inf, scaled))


def _logits(x: F64, batch: Batch) -> Num:
    """The scaled and capped logits; those that are not finite count as 0."""
    scale, cap = arb(batch.logit_scale), arb(batch.softcap)
    z = np.empty(x.shape, dtype=object)
    flat = z.reshape(-1)
    for i, v in enumerate(_finite(x)):
        scaled = scale * arb(v)
        if not batch.softcap:
            flat[i] = scaled
            continue
        a = scaled / cap
        if abs(float(a.mid())) > _SATURATED:
            flat[i] = cap * arb(1.0 if a > 0 else -1.0, _NOTHING)
        else:
            flat[i] = cap * a.tanh()
    return z


def _slopes(x: F64, batch: Batch) -> Num:
    """The derivatives of the scaled and capped logits in those that are given."""
    scale, cap = arb(batch.logit_scale), arb(batch.softcap)
    slope = np.empty(x.shape, dtype=object)
    flat = slope.reshape(-1)
    for i, v in enumerate(_finite(x)):
        if not batch.softcap:
            flat[i] = scale
            continue
        a = scale * arb(v) / cap
        if abs(float(a.mid())) > _SATURATED:
            flat[i] = arb(0.0, _NOTHING)
        else:
            flat[i] = scale / a.cosh() ** 2
    return slope


def _finite(x: F64) -> list[float]:
    found: list[float] = np.where(np.isfinite(x), x, 0.0).ravel().tolist()
    return found


def evaluate_variant(s: Balls, batch: Batch, rows: Rows) -> dict[str, Num]:
    """Evaluate the value and the gradient of a variant, by name; ``vjp:other`` as in ``evaluate_outputs``."""
    regular = (rows.kind <= MASKED)[..., None]
    given = batch.x if batch.raw is None else batch.raw
    given = np.where(regular, given, 0.0)
    z = _logits(given, batch)
    # Only the gradient needs them.
    slopes = z if batch.cot is None else _slopes(given, batch)
    if batch.raw is not None and batch.softcap:
        # An infinite logit is capped like any other, and nothing reaches it.
        infinite = regular & np.isinf(batch.raw)
        exactly = s.exact(np.where(infinite, batch.x, 0.0))
        z, slopes = np.where(infinite, exactly, z), np.where(infinite, arb(0), slopes)
    p, log_p, lse = _probabilities(s, batch, rows, z)
    if batch.op == "softmax":
        found = {"value": p}
        if batch.cot is not None:
            v = s.exact(batch.cot)
            found["vjp"] = slopes * (p * (v - s.sum(p * v)))
    elif batch.op == "log_softmax":
        found = {"value": log_p}
        if batch.cot is not None:
            v = s.exact(batch.cot)
            found["vjp"] = slopes * (v - p * s.sum(v))
    else:
        found = _loss(s, batch, rows, slopes, p, log_p, lse)
    return {name: a for name, a in found.items() if name.split(":")[0] in batch.outputs}


def _probabilities(s: Numbers, batch: Batch, rows: Rows, z: Num) -> tuple[Num, Num, Num]:
    """p, log p and log-sum-exp of each row."""
    present = ~rows.absent
    regular = (rows.kind <= MASKED)[..., None] & np.isfinite(batch.x)
    high = np.where(present, np.where(regular, batch.x, 0.0), -np.inf)
    low = np.zeros_like(high) if batch.low is None else np.where(np.isfinite(high), batch.low, 0.0)
    top = largest_at(high, low) if batch.k else np.zeros((*high.shape[:2], 1), dtype=np.intp)
    m = np.take_along_axis(z, top, axis=-1)
    d = s.select(present, z - m)
    e = s.select(present, s.exp(d))
    others = present.copy()
    np.put_along_axis(others, top, False, axis=-1)
    rest = s.sum(s.select(others, e))
    log_s = s.log1p(rest)
    return e / (s.exact(np.ones((*high.shape[:2], 1))) + rest), s.select(present, d - log_s), m + log_s


def _loss(s: Numbers, batch: Batch, rows: Rows, inner: Num, p: Num, log_p: Num, lse: Num) -> dict[str, Num]:
    regular = rows.kind <= MASKED
    c = s.select(batch.kept[..., None], loss_coefficients(s, batch))
    ones = np.ones((*batch.kept.shape, 1))
    z_loss, weight = s.exact(ones * batch.z_loss), s.exact(ones if batch.row_weight is None else _column(batch))
    denominator = s.sum(_shares(s, batch))
    row = weight * (z_loss * (lse * lse) - s.sum(c * log_p))
    row = s.select(regular & batch.kept, row[..., 0])
    out = {"value": reduced_rows(s, batch, row, denominator)}
    if batch.cot is None:
        return out
    g = s.exact(batch.cot)
    if batch.reduction == "mean":
        usable = rows.denominator != 0
        g = s.select(usable, g / (denominator + s.exact(np.where(usable, 0.0, 1.0))))
    g = s.select(batch.kept[..., None], weight * (g[..., None] + s.exact(np.zeros_like(ones))))
    squared = s.exact(2 * ones) * z_loss * lse * p
    slope = s.sum(c) * p - c
    out["vjp"] = inner * (g * (slope + squared))
    if rows.either.any():
        either = rows.either[..., None]
        second = s.select(either, p - c) + s.select(~either, slope)
        out["vjp:other"] = inner * (g * (second + squared))
    return out


def _column(batch: Batch) -> F64:
    # sanity check: asked only where rows have weights
    assert batch.row_weight is not None
    return batch.row_weight[..., None]


def _shares(s: Numbers, batch: Batch) -> Num:
    """The share of each row in the denominator, exactly: the product of two weights is no float64 number."""
    if batch.mean != "mean":
        return s.exact(np.ones(batch.kept.shape) if batch.mean == "mean_over_rows" else batch.kept.astype(np.float64))
    own = s.exact(label_weights(batch))
    return own if batch.row_weight is None else own * s.exact(batch.row_weight)
