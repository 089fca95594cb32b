"""The Arb oracle: every output from ball arithmetic, one row at a time, straight from SPEC sections 2 and 3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from flint import arb, ctx

from lossproof.batch import Batch
from lossproof.floats import F64
from lossproof.oracle.enclosure import Core, Enclosure
from lossproof.rows import MASKED, Rows

Ball = Any
PRECISIONS = (128, 256, 512, 1024, 2048, 4096)


def core(batch: Batch, rows: Rows, precision: int = 128) -> Core:
    """Enclosures of all outputs at a working precision in bits."""
    saved = ctx.prec
    ctx.prec = precision
    try:
        pairs = [_problem(batch, rows, b) for b in range(batch.x.shape[0])]
    finally:
        ctx.prec = saved
    values = _collect([v for v, _ in pairs])
    vjp = None if batch.cot is None else _collect([g for _, g in pairs])
    return Core(values, vjp)


def exactly(a: float) -> Ball:
    """A float64 as an exact ball."""
    return arb(float(a))


def enclose(ball: Ball) -> tuple[float, float, float]:
    """A ball as ``(mid, low, rad)`` doubles, radius rounded up."""
    mid = float(ball.mid())
    if np.isinf(mid):
        return mid, 0.0, 0.0
    rest = ball - exactly(mid)
    low = float(rest.mid())
    upper = (rest - exactly(low)).abs_upper()
    # Not ``float(upper) == 0``: a remainder may lie below the smallest float64.
    return mid, low, 0.0 if upper == 0 else float(np.nextafter(float(upper), np.inf))


def _collect(problems: list[Any]) -> Enclosure:
    flat = np.array([[enclose(ball) for ball in np.ravel(problem)] for problem in problems], dtype=np.float64)
    shape = (len(problems), *np.shape(problems[0]))
    flat = flat.reshape(*shape, 3)
    return Enclosure(flat[..., 0], flat[..., 1], flat[..., 2])


def _problem(batch: Batch, rows: Rows, b: int) -> tuple[Any, Any]:
    n, k = batch.n, batch.k
    cot = None if batch.cot is None else [[exactly(v) for v in row] for row in np.atleast_2d(batch.cot[b])]
    if not batch.is_loss:
        return _unreduced(batch, rows, b, cot)
    eps, w = exactly(batch.eps[b, 0, 0]), [exactly(v) for v in batch.w[b]]
    denominator, losses, gradients = _denominator(batch, b, w), [], np.empty((n, k), dtype=object)
    scale = None
    if cot is not None and batch.reduction != "none":
        scale = cot[0][0] / denominator if batch.reduction == "mean" and denominator != 0 else cot[0][0]
    for i in range(n):
        c = _row_coefficients(batch, b, i, eps, w)
        present = [j for j in range(k) if not rows.absent[b, i, j]]
        x = _safe(batch, b, i)
        if batch.op == "nll_loss":
            p, y = None, {j: x[j] for j in present}
        else:
            p, y = _softmax(x, present)
        regular = batch.op == "nll_loss" or rows.kind[b, i] <= MASKED
        losses.append(-sum((c[j] * y[j] for j in present if c[j] != 0), arb(0)) if regular else arb(0))
        if cot is not None:
            g = cot[0][i] if batch.reduction == "none" else scale
            gradients[i] = _loss_gradient(batch.kept[b, i], g, c, p)
    if batch.reduction == "none":
        value = np.array(losses, dtype=object)
    else:
        total = sum(losses, arb(0))
        value = np.array(
            [total / denominator if batch.reduction == "mean" and denominator != 0 else total], dtype=object
        )
    return value, gradients


def _safe(batch: Batch, b: int, i: int) -> list[Ball]:
    row = batch.x[b, i]
    if batch.op != "nll_loss" and not np.isfinite(row[~np.isneginf(row)]).all():
        return [arb(0)] * len(row)
    return [exactly(v) if np.isfinite(v) else arb(0) for v in row]


def _softmax(x: list[Ball], present: list[int]) -> tuple[dict[int, Ball], dict[int, Ball]]:
    m = x[max(present, key=lambda j: float(x[j]))] if present else arb(0)
    d = {j: x[j] - m for j in present}
    e = {j: d[j].exp() for j in present}
    s = sum(e.values(), arb(0))
    first = next((j for j in present if d[j] == 0), None)
    rest = sum((e[j] for j in present if j != first), arb(0))
    log_s = rest.log1p()
    return {j: e[j] / s for j in present}, {j: d[j] - log_s for j in present}


def _unreduced(batch: Batch, rows: Rows, b: int, cot: list[list[Ball]] | None) -> tuple[Any, Any]:
    n, k = batch.n, batch.k
    value, vjp = np.empty((n, k), dtype=object), np.empty((n, k), dtype=object)
    rule: Callable[..., Ball] = _softmax_vjp if batch.op == "softmax" else _log_softmax_vjp
    for i in range(n):
        present = [j for j in range(k) if not rows.absent[b, i, j]]
        p, y = _softmax(_safe(batch, b, i), present)
        shown = p if batch.op == "softmax" else y
        value[i] = [shown.get(j, arb(0)) for j in range(k)]
        if cot is not None:
            v = cot[i]
            inner = sum((p[j] * v[j] for j in present), arb(0)) if batch.op == "softmax" else sum(v, arb(0))
            vjp[i] = [rule(p.get(j, arb(0)), v[j], inner) for j in range(k)]
    return value, vjp


def _softmax_vjp(p: Ball, v: Ball, inner: Ball) -> Ball:
    return p * (v - inner)


def _log_softmax_vjp(p: Ball, v: Ball, total: Ball) -> Ball:
    return v - p * total


def _row_coefficients(batch: Batch, b: int, i: int, eps: Ball, w: list[Ball]) -> list[Ball]:
    k = batch.k
    if not batch.kept[b, i]:
        return [arb(0)] * k
    if batch.q is not None:
        q = [exactly(v) for v in batch.q[b, i]]
    else:
        # sanity check: a loss without probabilities has labels
        assert batch.y is not None
        q = [arb(int(j == batch.y[b, i])) for j in range(k)]
    if not batch.smoothed:
        return [w[j] * q[j] for j in range(k)]
    return [w[j] * ((1 - eps) * q[j] + eps / k) for j in range(k)]


def _denominator(batch: Batch, b: int, w: list[Ball]) -> Ball:
    if batch.y is None:
        return arb(batch.n)
    return sum((w[batch.y[b, i]] for i in range(batch.n) if batch.kept[b, i]), arb(0))


def _loss_gradient(kept: bool, g: Ball, c: list[Ball], p: dict[int, Ball] | None) -> list[Ball]:
    if not kept:
        return [arb(0)] * len(c)
    if p is None:
        return [-g * cj for cj in c]
    total = sum(c, arb(0))
    return [g * (total * p.get(j, arb(0)) - c[j]) for j in range(len(c))]


def certify(make: Callable[[int], Core], relative: F64 | float = 2.0**-60) -> Core:
    """Raise the precision until every radius is below ``relative`` times the magnitude, or as small as float64 has."""
    for precision in PRECISIONS:
        result = make(precision)
        outputs = [e for e in (result.value, result.vjp) if e is not None]
        if all(np.all((e.rad <= 2.0**-1073) | (e.rad <= relative * np.abs(e.mid)) | np.isinf(e.mid)) for e in outputs):
            return result
    return result
