"""Mistakes of softmax and log-softmax that mutants of several modules make."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .softmax_steps import (
    PLAIN,
    Array,
    Function,
    Softmax,
    Step,
    over_rows,
    over_rows_vjp,
    row_max,
    row_sum,
    vjp_softmax,
)


def log_of(change: Step) -> Step:
    """log of a changed softmax."""
    return lambda x: np.log(change(PLAIN.p(x)))


def x_minus_lse(x: Array) -> Array:
    """``x - (max + log sum)``: the log of the sum is absorbed by a large maximum."""
    m = row_max(x)
    return x - (m + np.log(row_sum(np.exp(x - m))))


def clip(p: Array) -> Array:
    """Keras' epsilon."""
    return np.clip(p, p.dtype.type(1e-7), p.dtype.type(1 - 1e-7))


FINITE = Softmax(enter=lambda x: np.where(np.isposinf(x), np.finfo(np.float32).max, x).astype(x.dtype))
LOG2E = 1.4426950408889634


def from_base_2(log: bool) -> Callable[[Array], Array]:
    """``x log2(e) - m log2(e)`` contracted to one rounding: the largest entry's difference is a rounding error."""

    def f(x: Array) -> Array:
        c = x.dtype.type(LOG2E)
        m = row_max(x)
        rounded = (m * c).astype(np.float64)
        t = (x.astype(np.float64) * np.float64(c) - rounded).astype(x.dtype)
        e = np.exp2(t)
        return t * x.dtype.type(1 / LOG2E) - np.log(row_sum(e)) if log else e / row_sum(e)

    return f


def through_masked_exponential(log: bool) -> Callable[[Array, Array], Array]:
    """The double-where trick forgotten: a masked exponential is multiplied by zero, also where it is infinite."""

    def f(x: Array, v: Array) -> Array:
        p = PLAIN.p(x)
        out = v - p * row_sum(v) if log else vjp_softmax(p, v)
        return np.where(np.isneginf(x), np.nan, out) if log else out + 0 * row_sum(np.where(np.isneginf(x), np.inf, 0))

    return f


BASE_2 = Softmax(exp=np.exp2)


def neighbour_axis(rule: Callable[[Array, Array], Array]) -> Function:
    """The sum of the vector-Jacobian product runs over the neighbouring axis."""

    def grad(x: Array, cotangent: Array, *, axis: int = -1) -> Array:
        if x.ndim == 1:
            return over_rows_vjp(lambda r, v: rule(PLAIN.p(r), v))(x, cotangent, axis=axis)
        with np.errstate(all="ignore"):
            p = over_rows(PLAIN.p)(x, axis=axis).astype(np.float64)
            v = cotangent.astype(np.float64)
            other = axis - 1
            out = rule(np.moveaxis(p, other, -1), np.moveaxis(v, other, -1))
            return np.moveaxis(out, -1, other).astype(x.dtype)

    return grad
