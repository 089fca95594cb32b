"""Algorithms that are as correct as the plain ones: the controls' building blocks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .loss_steps import Case, row_losses
from .sharing import shared
from .softmax_steps import PLAIN, Array, Softmax, one_by_one, padded, row_max, row_sum


def online(block: int) -> Callable[[Array], tuple[Array, Array]]:
    """Blocks with a running maximum and a rescaled running sum, as in flash attention: the normaliser."""

    @shared
    def steps(x: Array) -> tuple[Array, Array]:
        parts = padded(x, block, -np.inf).reshape(*x.shape[:-1], -(-x.shape[-1] // block), block)
        m = np.maximum.accumulate(row_max(parts), axis=-2)
        safe = np.where(np.isneginf(m), 0, m).astype(x.dtype)
        first = np.full_like(x[..., None, :1], -np.inf)
        rescaled = np.exp(np.concatenate([first, m], axis=-2)[..., :-1, :] - safe)
        sums = row_sum(np.exp(parts - safe))
        s, start, count = np.zeros_like(first[..., 0, :]), 0, sums.shape[-2]
        # Block after block: what is added to the sum depends on the sum before it. As long as no maximum grows the sum
        # is multiplied by 1, and blocks are added as they come.
        grows = np.flatnonzero((rescaled != 1).any(axis=(*range(x.ndim - 1), -1)))
        for i in [*grows.tolist(), count]:
            if i > start:
                s = np.add.accumulate(np.concatenate([s[..., None, :], sums[..., start:i, :]], axis=-2), axis=-2)[
                    ..., -1, :
                ]
            if i < count:
                s = s * rescaled[..., i, :] + sums[..., i, :]
            start = i + 1
        return np.concatenate([first, m], axis=-2)[..., -1, :], s

    return steps


def log1p(x: Array) -> Array:
    d, e, _ = PLAIN.steps(x)
    e = e.copy()
    top = np.argmax(x, axis=-1)[..., None]
    broken = np.isnan(d).any(axis=-1, keepdims=True)
    np.put_along_axis(e, top, 0, axis=-1)
    return np.where(broken, np.nan, d - np.log1p(row_sum(e))).astype(x.dtype)


def flushed(a: Array) -> Array:
    return np.where(np.abs(a) < np.finfo(a.dtype).tiny, 0, a).astype(a.dtype)


FTZ = Softmax(enter=flushed, gap=flushed, exp=lambda d: flushed(np.exp(d)), leave=flushed)


def torch_order(case: Case, y: Array, c: Array) -> Array:
    """``(1 - eps) w_y nll + (eps / K) sum_j w_j (-log p_j)``: two sums, scaled afterwards.

    The second sum is held as a multiple of 2^16, which changes no rounding: without it a sum of K log-probabilities
    overflows where the loss does not, which clause 7 forbids (the mutant is in upstream_losses).
    """
    if case.labels is None or case.eps == 0:
        return row_losses(case, y, c)
    # The weight is scaled first: weight times loss alone may overflow where the smoothed loss does not.
    own = ((1 - case.eps) * case.w).astype(y.dtype)
    one = np.zeros_like(y) if case.eps == 1 else np.where(case.q == 0, 0, own * y)
    held = np.where(case.w == 0, 0, case.w * (y * y.dtype.type(2.0**-16))).sum(axis=-1)
    total = -(one.sum(axis=-1) + (case.eps / case.k * 2**16) * held)
    return np.where(np.isnan(y).any(axis=-1), np.nan, total).astype(y.dtype)


def exp2(d: Array) -> Array:
    return np.exp2(d * d.dtype.type(np.log2(np.e)))


def sequential(a: Array) -> Array:
    return one_by_one()(a.reshape(-1))[0] if a.size else np.zeros((), a.dtype)


def zero_times_inf(case: Case, y: Array, c: Array) -> Array:
    return row_losses(case, y, c) if case.labels is not None else -np.sum(c * y, axis=-1, dtype=y.dtype)


def p_minus_c(case: Case, p: Array, c: Array) -> Array:
    return p - c if case.labels is None else row_sum(c) * p - c
