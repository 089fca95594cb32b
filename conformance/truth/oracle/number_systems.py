"""Three number systems with one face, so that the specification's formulas are written once (``formulas``).

Float64 arrays, double-double arrays, and arrays of Arb balls. The tests guard the formulas themselves with a second
computation that shares none of this code.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from flint import arb, ctx

from lossproof.core.batch import Bools
from lossproof.core.formats import F64
from lossproof.truth.oracle import double_double

Num = Any  # an array of the system: supports + - * / with its like


class Numbers(Protocol):
    """Arrays of one number system; sums run over the last axis and keep it."""

    def exact(self, a: F64) -> Num:
        """Finite float64 entries as numbers."""
        ...

    def exp(self, a: Num) -> Num:
        """Elementwise exponential of arguments at most 0."""
        ...

    def log1p(self, a: Num) -> Num:
        """Elementwise log(1 + a) of arguments at least 0."""
        ...

    def sum(self, a: Num) -> Num:
        """Sum over the last axis, kept."""
        ...

    def select(self, where: Bools, a: Num) -> Num:
        """``a`` where the condition holds, exactly 0 elsewhere."""
        ...

    def split(self, a: Num) -> tuple[F64, F64, F64 | None]:
        """Centre as two float64 arrays, and the radius if the system carries one."""
        ...


class Float64:
    """Plain float64 arrays; the radius comes from the error bound of the evaluation."""

    def exact(self, a: F64) -> F64:
        """The array itself."""
        return np.asarray(a, dtype=np.float64)

    def exp(self, a: F64) -> F64:
        """NumPy's exp."""
        return np.exp(a)

    def log1p(self, a: F64) -> F64:
        """NumPy's log1p."""
        return np.log1p(a)

    def sum(self, a: F64) -> F64:
        """NumPy's sum."""
        return np.sum(a, axis=-1, keepdims=True)

    def select(self, where: Bools, a: F64) -> F64:
        """np.where."""
        return np.where(where, a, 0.0)

    def split(self, a: F64) -> tuple[F64, F64, None]:
        """The array itself, no low part, no radius of its own."""
        return a, np.zeros_like(a), None


class DoubleDouble:
    """Double-double arrays; the radius comes from the error bound of the evaluation."""

    def exact(self, a: F64) -> double_double.DD:
        """Lifted."""
        return double_double.lift(a)

    def exp(self, a: double_double.DD) -> double_double.DD:
        """``double_double.exp``."""
        return double_double.exp(a)

    def log1p(self, a: double_double.DD) -> double_double.DD:
        """``double_double.log1p``."""
        return double_double.log1p(a)

    def sum(self, a: double_double.DD) -> double_double.DD:
        """Balanced tree."""
        return a.sum()

    def select(self, where: Bools, a: double_double.DD) -> double_double.DD:
        """The two parts, chosen entrywise."""
        return a.where(where, 0.0)

    def split(self, a: double_double.DD) -> tuple[F64, F64, None]:
        """The two parts, no radius of its own."""
        return a.hi, a.lo, None


class Balls:
    """Arrays of Arb balls at the context's precision; the radius is rigorous by construction."""

    def exact(self, a: F64) -> Num:
        """Exact balls."""
        return _each(arb, np.asarray(a, dtype=np.float64))

    def exp(self, a: Num) -> Num:
        """Ball exponential."""
        return _each(lambda v: v.exp(), a)

    def log1p(self, a: Num) -> Num:
        """Ball log1p."""
        return _each(lambda v: v.log1p(), a)

    def sum(self, a: Num) -> Num:
        """Left to right."""
        if not a.shape[-1]:
            return self.exact(np.zeros((*a.shape[:-1], 1)))
        return np.add.reduce(a, axis=-1, keepdims=True)

    def select(self, where: Bools, a: Num) -> Num:
        """Entrywise choice."""
        return np.where(where, a, arb(0))

    def split(self, a: Num) -> tuple[F64, F64, F64]:
        """Centre and rigorous radius."""
        parts = np.array([enclose(v) for v in a.ravel()], dtype=np.float64).reshape(*a.shape, 3)
        return parts[..., 0], parts[..., 1], parts[..., 2]


def _each(f: Any, a: Any) -> Any:
    out = np.empty(np.shape(a), dtype=object)
    flat = out.reshape(-1)
    for i, v in enumerate(np.ravel(a).tolist()):
        flat[i] = f(v)
    return out


def enclose(ball: Any) -> tuple[float, float, float]:
    """Turn a ball into ``(mid, low, rad)`` doubles, radius rounded up."""
    mid = float(ball.mid())
    if math.isinf(mid):
        return mid, 0.0, 0.0
    rest = ball - arb(mid)
    low = float(rest.mid())
    upper = (rest - arb(low)).abs_upper()
    # Not ``float(upper) == 0``: a remainder may lie below the smallest float64.
    return mid, low, 0.0 if upper == 0 else math.nextafter(float(upper), math.inf)


class precision:  # noqa: N801
    """Context manager: Arb's working precision in bits."""

    def __init__(self, bits: int) -> None:
        self.bits, self.saved = bits, ctx.prec

    def __enter__(self) -> None:
        self.saved, ctx.prec = ctx.prec, self.bits

    def __exit__(self, *_: object) -> None:
        ctx.prec = self.saved
