"""The operations and derivatives of the specification, sections 2 and 3, written once for every number system.

Inputs are a batch and the classes of its rows; every output of regular rows comes back by name, in the batch's
layout. Absent classes (-inf) have p = 0 and take no part; special rows are computed as if their logits were 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lossproof.core.batch import Batch
from lossproof.truth.oracle.number_systems import Num, Numbers
from lossproof.truth.row_quantities import MASKED, Rows, counted, largest_at


@dataclass(frozen=True)
class _Parts:
    """What the formulas share, by the names of ``row_quantities.Rows``: p and log p (nll_loss: the input itself); of
    losses also the coefficients c = w q', their row sum Q, the denominator W and the row scale g (B, N, 1)."""

    p: Num
    log_p: Num
    c: Num = None
    Q: Num = None
    denominator: Num = None
    row_scale: Num = None


def evaluate_outputs(s: Numbers, batch: Batch, rows: Rows) -> dict[str, Num]:
    """Evaluate every output that the batch asks for, by name.

    ``NAME:other`` is the other formula where section 3 accepts two.
    """
    parts = _parts(s, batch, rows)
    if batch.op == "softmax":
        found = _softmax(s, batch, parts)
    elif batch.op == "log_softmax":
        found = _log_softmax(s, batch, parts)
    else:
        found = _loss(s, batch, rows, parts)
    return {name: a for name, a in found.items() if name.split(":")[0] in batch.outputs}


def _parts(s: Numbers, batch: Batch, rows: Rows) -> _Parts:
    present = ~rows.absent
    if batch.op == "nll_loss":
        p, log_p = None, s.exact(np.where(np.isfinite(batch.x), batch.x, 0.0))
    else:
        p, log_p = _probabilities(s, batch, rows)
    if not batch.is_loss:
        return _Parts(p, log_p)
    c = s.select(batch.kept[..., None], loss_coefficients(s, batch))
    # An absent class of a loss contributes through special values alone; here it contributes nothing.
    log_p = s.select(present, log_p)
    denominator = s.sum(s.exact(counted(batch)))
    return _Parts(p, log_p, c, s.sum(c), denominator, _scale(s, batch, denominator))


def _probabilities(s: Numbers, batch: Batch, rows: Rows) -> tuple[Num, Num]:
    present = ~rows.absent
    x = np.where((rows.kind <= MASKED)[..., None] & np.isfinite(batch.x), batch.x, 0.0)
    lowered = np.where(present, x, -np.inf)
    low = None if batch.low is None else np.where(np.isfinite(lowered), batch.low, 0.0)
    top = np.argmax(lowered, axis=-1)[..., None] if low is None else largest_at(lowered, low)
    m = np.take_along_axis(x, top, axis=-1)
    z, largest = s.exact(x), s.exact(np.broadcast_to(m, x.shape))
    if low is not None:
        z = z + s.exact(low)
        largest = largest + s.exact(np.broadcast_to(np.take_along_axis(low, top, axis=-1), x.shape))
    d = s.select(present, z - largest)
    e = s.select(present, s.exp(d))
    others = present.copy()
    np.put_along_axis(others, top, False, axis=-1)
    # The largest term is exactly 1: summing the others alone keeps log s accurate near 0.
    rest = s.sum(s.select(others, e))
    one = s.exact(np.ones((*x.shape[:2], 1)))
    return e / (one + rest), s.select(present, d - s.log1p(rest))


def loss_coefficients(s: Numbers, batch: Batch) -> Num:
    """The loss coefficients ``w q'``, those of ignored rows included (section 2)."""
    q = batch.q
    if q is None:
        # sanity check: a loss without probabilities has labels
        assert batch.y is not None
        q = (np.arange(batch.k) == batch.y[..., None]).astype(np.float64)
    w = s.exact(np.broadcast_to(batch.w[:, None, :], q.shape))
    if not batch.smoothed:
        return w * s.exact(q)
    one, eps, k = (s.exact(np.broadcast_to(a, q.shape)) for a in (1.0, batch.eps, float(batch.k)))
    return w * ((one - eps) * s.exact(q) + eps / k)


def _scale(s: Numbers, batch: Batch, denominator: Num) -> Num:
    """The row scale of the gradient (B, N, 1), section 3: 0 in ignored rows and where a mean has no denominator."""
    if batch.cot is None:
        return None
    g = s.exact(batch.cot)
    if batch.reduction == "mean":
        usable = counted(batch).sum(axis=1, keepdims=True) != 0
        g = s.select(usable, g / (denominator + s.exact(np.where(usable, 0.0, 1.0))))
    rows = g[..., None] + s.exact(np.zeros((*batch.kept.shape, 1)))
    return s.select(batch.kept[..., None], rows)


def _tangent(s: Numbers, p: Num, v: Num) -> Num:
    """``p o (v - <p, v>)``, the JVP and the VJP of softmax (section 3)."""
    return p * (v - s.sum(p * v))


def _softmax(s: Numbers, batch: Batch, parts: _Parts) -> dict[str, Num]:
    out = {"value": parts.p}
    if batch.cot is not None:
        out["vjp"] = _tangent(s, parts.p, s.exact(batch.cot))
    if batch.tan is not None:
        out["jvp"] = _tangent(s, parts.p, s.exact(batch.tan))
    return out


def _log_softmax(s: Numbers, batch: Batch, parts: _Parts) -> dict[str, Num]:
    out = {"value": parts.log_p}
    if batch.cot is not None:
        v = s.exact(batch.cot)
        out["vjp"] = v - parts.p * s.sum(v)
    if batch.tan is not None:
        t = s.exact(batch.tan)
        out["jvp"] = t - s.sum(parts.p * t)
        if batch.cot is not None:
            zero = s.exact(np.zeros_like(batch.x))
            out["hvp"] = zero - s.sum(s.exact(batch.cot)) * _tangent(s, parts.p, t)
    return out


def _loss(s: Numbers, batch: Batch, rows: Rows, parts: _Parts) -> dict[str, Num]:
    nll = batch.op == "nll_loss"
    regular = np.ones(rows.kind.shape, dtype=bool) if nll else rows.kind <= MASKED
    zero = s.exact(np.zeros(rows.kind.shape))
    row = s.select(regular, zero - s.sum(parts.c * parts.log_p)[..., 0])
    out = {"value": reduced_rows(s, batch, row, parts.denominator)}
    slope = -parts.c if nll else parts.Q * parts.p - parts.c
    second = None if nll else _second_slope(s, rows, parts, slope)
    if batch.cot is not None:
        out["vjp"] = parts.row_scale * slope
        if second is not None:
            out["vjp:other"] = parts.row_scale * second
    if batch.tan is not None:
        t = s.exact(batch.tan)
        out["jvp"] = reduced_rows(s, batch, s.sum(slope * t)[..., 0], parts.denominator)
        bent = None if nll or batch.cot is None else _tangent(s, parts.p, t)
        if batch.cot is not None:
            # The gradient of nll_loss does not depend on its input.
            out["hvp"] = (
                zero[..., None] + s.exact(np.zeros_like(batch.x)) if nll else parts.row_scale * (parts.Q * bent)
            )
        if second is not None:
            out["jvp:other"] = reduced_rows(s, batch, s.sum(second * t)[..., 0], parts.denominator)
            if bent is not None:
                either = rows.either[..., None]
                out["hvp:other"] = parts.row_scale * (s.select(either, bent) + s.select(~either, parts.Q * bent))
    if "jvp_target" in batch.outputs and batch.tan_q is not None:
        along = s.select(regular, zero - s.sum(_inner_weights(s, batch) * s.exact(batch.tan_q) * parts.log_p)[..., 0])
        out["jvp_target"] = reduced_rows(s, batch, along, parts.denominator)
    if "grad_target" in batch.outputs:
        out["grad_target"] = -(parts.row_scale * (_inner_weights(s, batch) * parts.log_p))
        if batch.tan_q is not None:
            u = _inner_weights(s, batch) * s.exact(batch.tan_q)
            out["mixed"] = parts.row_scale * (parts.p * s.sum(u) - u)
    return out


def _second_slope(s: Numbers, rows: Rows, parts: _Parts, slope: Num) -> Num | None:
    """The slope ``p - c`` in rows that may have either (specification, section 3), the slope proper in the others."""
    if not rows.either.any():
        return None
    either = rows.either[..., None]
    return s.select(either, parts.p - parts.c) + s.select(~either, slope)


def _inner_weights(s: Numbers, batch: Batch) -> Num:
    """``(1 - eps) w_j``, broadcast to the logits."""
    one, eps, w = (s.exact(np.broadcast_to(a, batch.x.shape)) for a in (1.0, batch.eps, batch.w[:, None, :]))
    return (one - eps) * w


def reduced_rows(s: Numbers, batch: Batch, row: Num, denominator: Num) -> Num:
    """Rows (B, N) of a value or a JVP under the batch's reduction (section 2)."""
    if batch.reduction == "none":
        return row
    total = s.sum(row)
    if batch.reduction == "sum":
        return total
    usable = counted(batch).sum(axis=1, keepdims=True) != 0
    return total / (denominator + s.exact(np.where(usable, 0.0, 1.0)))
