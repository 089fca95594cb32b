"""The vectorised oracle for float64: double-double evaluation with a certified radius.

As the fast oracle, it is a profile-W implementation of the model, of a format whose roundoff is 2^-90: some 2^10
times the errors of double-double operations, its exp and log. The tests audit every radius against Arb.
"""

from __future__ import annotations

import numpy as np

from lossproof.batch import Batch, Bools
from lossproof.bounds import Model, allow
from lossproof.floats import F64, Format
from lossproof.oracle.dd import DD, LIMIT, difference, exp, lift, log1p
from lossproof.oracle.enclosure import Core, Enclosure
from lossproof.rows import MASKED, Rows, label_weights

# emin makes the underflow term 3 * 2^-1060, far above what double-double loses there and far below float64's own.
_MODEL = Model(Format("double-double", 90, -1060, 1023), "W")


def suitable(batch: Batch) -> Bools:
    """(B,) problems within double-double's range; the others go to Arb."""
    parts = [batch.x, batch.w] + ([] if batch.cot is None else [batch.cot])
    big = [np.abs(np.where(np.isfinite(a), a, 0.0)).reshape(a.shape[0], -1).max(axis=1, initial=0.0) for a in parts]
    return np.max(big, axis=0) < LIMIT / 2.0**40


def core(batch: Batch, rows: Rows) -> Core:
    """Enclosures of all outputs of a batch of suitable problems."""
    radius = allow(batch, rows, _MODEL)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        value, vjp = _softmax_family(batch, rows) if not batch.is_loss else _loss(batch, rows)
    outputs = [
        Enclosure(v.hi, v.lo, r)
        for v, r in ((value, radius.value), (vjp, radius.vjp))
        if v is not None and r is not None
    ]
    return Core(outputs[0], outputs[1] if len(outputs) > 1 else None)


def _softmax(batch: Batch, rows: Rows) -> tuple[DD, DD]:
    """p and log p; 0 at absent entries, and everywhere as if logits of special rows were 0."""
    regular = (rows.kind <= MASKED)[..., None]
    x = np.where(regular & np.isfinite(batch.x), batch.x, 0.0)
    m = np.max(np.where(rows.absent, -np.inf, x), axis=-1, keepdims=True)
    d = difference(x, np.broadcast_to(m, x.shape)).where(~rows.absent, 0.0)
    e = exp(d).where(~rows.absent, 0.0)
    first = np.argmax(np.where(rows.absent, -np.inf, d.hi), axis=-1)[..., None]
    others = np.ones(x.shape, dtype=bool)
    np.put_along_axis(others, first, False, axis=-1)
    rest = e.where(others, 0.0).sum()
    return e / (rest + 1.0), (d - log1p(rest)).where(~rows.absent, 0.0)


def _softmax_family(batch: Batch, rows: Rows) -> tuple[DD, DD | None]:
    p, y = _softmax(batch, rows)
    log = batch.op == "log_softmax"
    if batch.cot is None:
        return (y if log else p), None
    v = lift(batch.cot)
    return (y, v - p * v.sum()) if log else (p, p * (v - (p * v).sum()))


def _loss(batch: Batch, rows: Rows) -> tuple[DD, DD | None]:
    kept, nll = batch.kept[..., None], batch.op == "nll_loss"
    p, y = (None, lift(np.where(np.isfinite(batch.x), batch.x, 0.0))) if nll else _softmax(batch, rows)
    c = _coefficients(batch).where(kept, 0.0)
    regular = np.ones(rows.kind.shape, dtype=bool) if nll else rows.kind <= MASKED
    row = -(c * y).sum()[..., 0].where(regular, 0.0)
    denominator = lift(label_weights(batch)).sum()
    value = row if batch.reduction == "none" else row.sum()
    if batch.reduction == "mean":
        value = value / denominator
    if batch.cot is None:
        return value, None
    g = lift(batch.cot) if batch.reduction != "mean" else lift(batch.cot) / denominator
    scale = DD(*(np.broadcast_to(a[..., None], (*rows.kind.shape, 1)) for a in (g.hi, g.lo)))
    inner = -c if p is None else c.sum() * p - c
    vjp = (inner * scale).where(kept & np.isfinite(scale.hi), 0.0)
    return value, vjp


def _coefficients(batch: Batch) -> DD:
    q: F64 | None = batch.q
    if q is None:
        # sanity check: a loss without probabilities has labels
        assert batch.y is not None
        q = (np.arange(batch.k) == batch.y[..., None]).astype(np.float64)
    w = np.broadcast_to(batch.w[:, None, :], q.shape)
    mixed = lift(q)
    if batch.smoothed:
        mixed = mixed * difference(np.ones_like(batch.eps), batch.eps) + lift(batch.eps) / float(batch.k)
    return mixed * w
