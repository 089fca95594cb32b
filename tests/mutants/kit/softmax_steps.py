"""Correct, readable NumPy building blocks in which every step can be replaced: a mutant is a one-line variation.

:class:`Softmax` holds the steps of softmax and log-softmax; those of the losses are in loss_steps.py. With nothing
replaced they satisfy section 4 of the specification, because the controls are judged on them. Inner computing is in
float64 for float64 and in float32 for the other dtypes, with one rounding to the input's dtype at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from .sharing import shared

Array = np.ndarray[Any, Any]
Step = Callable[[Array], Array]
Function = Callable[..., Array]
BF16 = np.dtype(ml_dtypes.bfloat16)
F16 = np.dtype(np.float16)
F32 = np.dtype(np.float32)


def same(a: Any) -> Any:
    """No step at all."""
    return a


def wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype to compute in: float32 for the 16-bit formats."""
    return F32 if dtype.itemsize == 2 else dtype


def through(fmt: np.dtype[Any]) -> Step:
    """Round to a format and come back."""
    return lambda a: a.astype(fmt).astype(a.dtype)


def tf32(a: Array) -> Array:
    """Round to the 11 significant bits of TensorFloat-32."""
    mantissa, exponent = np.frexp(a)
    return np.ldexp(np.rint(mantissa * 2**11) / 2**11, exponent).astype(a.dtype)


def truncated(fmt: np.dtype[Any]) -> Step:
    """Round towards zero to a 16-bit format."""
    bits = 11 if fmt == F16 else 8

    def step(a: Array) -> Array:
        mantissa, exponent = np.frexp(a)
        # 2**-24 is the quantum of float16's subnormals.
        bits_left = np.clip(exponent + 24, 0, bits) if fmt == F16 else bits
        return np.ldexp(np.ldexp(np.trunc(np.ldexp(mantissa, bits_left)), -bits_left), exponent).astype(a.dtype)

    return step


def times(factor: float) -> Step:
    """A systematic relative error."""
    return lambda a: a * a.dtype.type(factor)


def last(a: Array, axis: int) -> Array:
    """An array with an axis moved to the end: in most calls it is there."""
    if axis in (-1, a.ndim - 1):
        return a
    axis %= a.ndim
    return a.transpose(*range(axis), *range(axis + 1, a.ndim), axis)


def unlast(a: Array, axis: int) -> Array:
    """The last axis moved to where it was."""
    if axis in (-1, a.ndim - 1):
        return a
    axis %= a.ndim
    return a.transpose(*range(axis), a.ndim - 1, *range(axis, a.ndim - 1))


def padded(a: Array, multiple: int, fill: float) -> Array:
    """Rows with as many more entries as make their length a multiple."""
    more = -a.shape[-1] % multiple
    return np.concatenate([a, np.full((*a.shape[:-1], more), fill, a.dtype)], axis=-1) if more else a


def row_max(x: Array) -> Array:
    """The maximum of each row."""
    return np.asarray(np.maximum.reduce(x, axis=-1, keepdims=True))


def zero(x: Array) -> Array:
    """No shift."""
    return np.zeros_like(x[..., :1])


def row_sum(e: Array) -> Array:
    """NumPy's pairwise sum of each row."""
    return np.asarray(np.add.reduce(e, axis=-1, keepdims=True))


def one_by_one(fmt: np.dtype[Any] | None = None) -> Step:
    """The sum of each row, term after term, in a format."""

    def step(e: Array) -> Array:
        return np.add.accumulate(e.astype(fmt or e.dtype), axis=-1)[..., -1:].astype(e.dtype)

    return step


def exp_off(r: float) -> Step:
    """An exponential with relative error up to r whose sign oscillates with the argument; exact at 0."""
    return lambda d: np.exp(d) * (1 + r * np.sin(50 * np.maximum(d, d.dtype.type(-1e6)))).astype(d.dtype)


@dataclass(frozen=True)
class Softmax:
    """Softmax and log-softmax over the last axis. ``inner`` is the dtype to compute in, if not the wide one."""

    inner: np.dtype[Any] | None = None
    enter: Step = same
    shift: Step = row_max
    gap: Step = same
    exp: Step = np.exp
    total: Step = row_sum
    divide: Callable[[Array, Array], Array] = np.divide
    log: Step = np.log
    leave: Step = same

    @shared
    def steps(self, x: Array) -> tuple[Array, Array, Array]:
        """Shifted logits, their exponentials and the sum of these."""
        x = self.enter(x.astype(self.inner or x.dtype))
        d = self.gap(x - self.shift(x))
        e = self.exp(d)
        return d, e, self.total(e)

    def p(self, x: Array) -> Array:
        """Softmax of rows."""
        _, e, s = self.steps(x)
        return self.leave(self.divide(e, s)).astype(x.dtype)

    def y(self, x: Array) -> Array:
        """Log-softmax of rows."""
        d, _, s = self.steps(x)
        return self.leave(d - self.log(s)).astype(x.dtype)


PLAIN = Softmax()


def over_rows(f: Step) -> Function:
    """Make a function of rows a function under test: class axis last, wide, one rounding at the end."""

    def value(x: Array, *, axis: int = -1) -> Array:
        with np.errstate(all="ignore"):
            out = f(last(x, axis).astype(wide(x.dtype)))
            return unlast(out.astype(x.dtype), axis)

    return value


def over_rows_vjp(f: Callable[[Array, Array], Array]) -> Function:
    """The same for a function of rows and the rows of a cotangent."""

    def grad(x: Array, cotangent: Array, *, axis: int = -1) -> Array:
        with np.errstate(all="ignore"):
            rows, v = (last(a, axis).astype(wide(x.dtype)) for a in (x, cotangent))
            return unlast(f(rows, v).astype(x.dtype), axis)

    return grad


def vjp_softmax(p: Array, v: Array) -> Array:
    """``p (v - <p, v>)``."""
    return p * (v - row_sum(p * v))


def vjp_log_softmax(p: Array, v: Array) -> Array:
    """``v - p sum v``."""
    return v - p * row_sum(v)
