"""Products of logits and a factor: exact as the sum of two float64 numbers, with the error of rounding them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from lossproof.adapters.protocol import Problem
from lossproof.core.formats import F64, FORMATS

N = TypeVar("N", F64, float)
_SPLIT = 2.0**27 + 1
# Products of float64 numbers below have a remainder that is no float64 number.
SMALLEST = 2.0**-960


@dataclass(frozen=True)
class Product:
    """The product of the logits of a problem and its factor, in the shape of the logits.

    ``high`` and ``low`` sum to it exactly; where the format rounds it to infinity ``high`` is that. ``error`` bounds
    what the rounding to the format loses, 0 where the product is a number of the format (docs/bounds.md, section 3).
    """

    high: F64
    low: F64
    error: F64


def product(p: Problem) -> Product | None:
    """Return the product of the logits and the factor of a problem, None where there is no factor."""
    if p.scale == 1.0:
        return None
    fmt = FORMATS[p.dtype]
    with np.errstate(all="ignore"):
        high = p.x * p.scale
        rounded = fmt.round(high)
        regular = np.isfinite(rounded)
        fractions, exponents = np.frexp(np.where(regular, p.x, 0.0))
        factor, exponent = np.frexp(np.asarray(p.scale, dtype=np.float64))
        low = np.ldexp(two_product(fractions, np.asarray(factor))[1], exponents + exponent)
        inexact = regular & ((rounded != high) | (low != 0))
        error = np.where(inexact, fmt.u * np.abs(high) + fmt.underflow, 0.0)
    return Product(np.where(regular, high, rounded), low, error)


def two_product(a: N, b: N) -> tuple[N, N]:
    """Return a product and its rounding error, exactly, of numbers below 2^990 whose product does not underflow."""
    p = a * b
    t = _SPLIT * a
    a1 = t - (t - a)
    a2 = a - a1
    t = _SPLIT * b
    b1 = t - (t - b)
    b2 = b - b1
    return p, ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2
