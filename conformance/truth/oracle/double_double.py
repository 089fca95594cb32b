"""Double-double arithmetic on arrays: numbers held as unevaluated sums of two float64, about 2^-100 accurate.

The building blocks are the classical error-free transformations. Arguments stay below 2^990 in magnitude, so that
splitting never overflows; results that underflow lose at most a few units of 2^-1074.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from lossproof.core.formats import F64
from lossproof.core.products import N, two_product

LIMIT = 2.0**990
# The first 32 bits of ln 2: the product with an exponent is exact.
LN2_HEAD = 2977044471 * 2.0**-32
SQUARINGS = 6
_TERMS = 13
# Entries of an exponential that are computed together.
_BLOCK = 8192

Operand = Union["DD", F64, float]


@dataclass(frozen=True, eq=False)
class DD:
    """``hi + lo`` with ``|lo|`` at most half an ULP of ``hi``."""

    hi: F64
    lo: F64

    def __add__(self, other: Operand) -> DD:
        b = lift(other)
        s, e = sum_with_error(self.hi, b.hi)
        f, g = sum_with_error(self.lo, b.lo)
        s, e = ordered_sum_with_error(s, e + f)
        return DD(*ordered_sum_with_error(s, e + g))

    def __neg__(self) -> DD:
        return DD(-self.hi, -self.lo)

    def __sub__(self, other: Operand) -> DD:
        return self + -lift(other)

    def __mul__(self, other: Operand) -> DD:
        b = lift(other)
        p, e = two_product(self.hi, b.hi)
        return DD(*ordered_sum_with_error(p, e + (self.hi * b.lo + self.lo * b.hi)))

    def __truediv__(self, other: Operand) -> DD:
        b = lift(other)
        q = self.hi / b.hi
        rest = self - b * q
        q2 = rest.hi / b.hi
        rest = rest - b * q2
        return lift(q) + q2 + rest.hi / b.hi

    def sum(self) -> DD:
        """Sum over the last axis, kept, as a balanced tree."""
        part = self
        while part.hi.shape[-1] > 1:
            if part.hi.shape[-1] % 2:
                pad = [(0, 0)] * (part.hi.ndim - 1) + [(0, 1)]
                part = DD(np.pad(part.hi, pad), np.pad(part.lo, pad))
            part = part[..., 0::2] + part[..., 1::2]
        return part if part.hi.shape[-1] else lift(np.zeros((*part.hi.shape[:-1], 1)))

    def __getitem__(self, key: Any) -> DD:
        return DD(self.hi[key], self.lo[key])

    def where(self, condition: NDArray[np.bool_], other: float) -> DD:
        """Keep entries where the condition holds, else put a constant."""
        return DD(np.where(condition, self.hi, other), np.where(condition, self.lo, 0.0))


def lift(a: Operand) -> DD:
    """Lift a float64 array to a DD."""
    if isinstance(a, DD):
        return a
    hi = np.asarray(a, dtype=np.float64)
    return DD(hi, np.zeros_like(hi))


def exp(x: DD) -> DD:
    """exp of arguments at most 0 (or small), block by block: what a hundred steps go through stays in the cache."""
    hi, lo = x.hi.reshape(-1), x.lo.reshape(-1)
    found = DD(np.empty_like(hi), np.empty_like(lo))
    for start in range(0, hi.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        part = _exp(DD(hi[block], lo[block]))
        found.hi[block], found.lo[block] = part.hi, part.lo
    return DD(found.hi.reshape(x.hi.shape), found.lo.reshape(x.hi.shape))


def _exp(x: DD) -> DD:
    """Reduction by ln 2, a Taylor polynomial of expm1, repeated squaring."""
    k = np.rint(np.maximum(x.hi, -1100.0) * 1.4426950408889634)
    r = DD(np.maximum(x.hi, -1100.0), np.where(x.hi < -1100.0, 0.0, x.lo)) - k * LN2_HEAD
    r = r - LN2_TAIL * k
    r = DD(np.ldexp(r.hi, -SQUARINGS), np.ldexp(r.lo, -SQUARINGS))
    total = lift(np.zeros_like(r.hi))
    for coefficient in INVERSE_FACTORIALS:
        total = (total + coefficient) * r
    for _ in range(SQUARINGS):
        total = total * 2.0 + total * total
    result = total + 1.0
    shift = k.astype(np.int64)
    with np.errstate(under="ignore"):
        return DD(np.ldexp(result.hi, shift), np.ldexp(result.lo, shift))


def log1p(r: DD) -> DD:
    """log(1 + r) for r >= 0: one Newton step from the float64 value, exp(-y) (1 + r) - 1 being tiny."""
    y = np.log1p(r.hi)
    correction = exp(lift(-y)) * (r + 1.0) - 1.0
    # log(1 + c) = c - c^2 / 2 + ...; c is of the order of 2^-52.
    return lift(y) + (correction - correction * correction * 0.5)


def sum_with_error(a: N, b: N) -> tuple[N, N]:
    """Return a sum and its rounding error, exactly."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def ordered_sum_with_error(a: N, b: N) -> tuple[N, N]:
    """Return a sum and its rounding error, exactly, where ``|a| >= |b|``."""
    s = a + b
    return s, b - (s - a)


def _constants() -> tuple[DD, list[DD]]:
    # ln 2 = sum 1 / (j 2^j), to 2^-180, as the part that the 32-bit head leaves over.
    ln2 = sum((Fraction(1, j * 2**j) for j in range(1, 190)), Fraction(0))
    return _nearest(ln2 - Fraction(LN2_HEAD)), [_nearest(Fraction(1, f)) for f in _factorials()]


def _factorials() -> list[int]:
    values = [1]
    for j in range(2, _TERMS + 1):
        values.append(values[-1] * j)
    return values[::-1]


def _nearest(value: Fraction) -> DD:
    hi = float(value)
    return DD(np.asarray(hi), np.asarray(float(value - Fraction(hi))))


LN2_TAIL, INVERSE_FACTORIALS = _constants()
