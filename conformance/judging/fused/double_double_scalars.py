"""Double-double arithmetic on scalars, step for step that of ``truth.oracle.double_double`` on arrays."""

from __future__ import annotations

import math

import numpy as np

from lossproof.core.products import two_product
from lossproof.judging.fused.compiler import compiled
from lossproof.truth.oracle.double_double import (
    INVERSE_FACTORIALS,
    LN2_HEAD,
    LN2_TAIL,
    SQUARINGS,
    ordered_sum_with_error,
    sum_with_error,
)

COEFFICIENTS = np.array([[float(c.hi), float(c.lo)] for c in INVERSE_FACTORIALS])
TERMS = len(INVERSE_FACTORIALS)
_TAIL_HIGH, _TAIL_LOW = float(LN2_TAIL.hi), float(LN2_TAIL.lo)
_DOWN = 2.0**-SQUARINGS
_LOWEST = -1100.0
# Of float64: the bias of its exponent, and the digits beside it.
_BIAS, _DIGITS = 1023, 52
_INVERSE_LN2 = 1.4426950408889634


# The arrays' own error-free transformations, for scalars.
two_sum = compiled(sum_with_error)
fast_two_sum = compiled(ordered_sum_with_error)
exact_product = compiled(two_product)


@compiled
def add(a: float, a_low: float, b: float, b_low: float) -> tuple[float, float]:
    """The sum of two numbers."""
    s, e = two_sum(a, b)
    f, g = two_sum(a_low, b_low)
    s, e = fast_two_sum(s, e + f)
    return fast_two_sum(s, e + g)


@compiled
def multiply(a: float, a_low: float, b: float, b_low: float) -> tuple[float, float]:
    """The product of two numbers."""
    p, e = exact_product(a, b)
    return fast_two_sum(p, e + (a * b_low + a_low * b))


@compiled
def divide_scalars(a: float, a_low: float, b: float, b_low: float) -> tuple[float, float]:
    """The quotient of two numbers."""
    q = a / b
    p, p_low = multiply(b, b_low, q, 0.0)
    rest, rest_low = add(a, a_low, -p, -p_low)
    q2 = rest / b
    p, p_low = multiply(b, b_low, q2, 0.0)
    rest, rest_low = add(rest, rest_low, -p, -p_low)
    s, s_low = add(q, 0.0, q2, 0.0)
    return add(s, s_low, rest / b, 0.0)


@compiled
def reduce_argument(a: float, a_low: float) -> tuple[float, float, float]:
    """The multiple of ln 2 that is next to a number, and what remains, halved as often as it will be squared."""
    high, low = (a, a_low) if a >= _LOWEST else (_LOWEST, 0.0)
    k = np.rint(high * _INVERSE_LN2)
    # Exact: the head has few bits.
    r, r_low = add(high, low, -(k * LN2_HEAD), 0.0)
    p, p_low = multiply(_TAIL_HIGH, _TAIL_LOW, k, 0.0)
    r, r_low = add(r, r_low, -p, -p_low)
    return k, r * _DOWN, r_low * _DOWN


@compiled
def scaled_down(a: float, k: float) -> float:
    """``a 2^k`` of a k from -1600 to 0, rounded once: half of the powers leave a normal number, the rest may not."""
    half = int(k) // 2
    first, second = np.int64((half + _BIAS) << _DIGITS), np.int64((int(k) - half + _BIAS) << _DIGITS)
    return (a * first.view(np.float64)) * second.view(np.float64)


@compiled
def exp_scalar(a: float, a_low: float) -> tuple[float, float]:
    """The exponential of a number that is at most 0 (or small)."""
    k, r, r_low = reduce_argument(a, a_low)
    s, s_low = 0.0, 0.0
    for i in range(TERMS):
        s, s_low = add(s, s_low, COEFFICIENTS[i, 0], COEFFICIENTS[i, 1])
        s, s_low = multiply(s, s_low, r, r_low)
    for _ in range(SQUARINGS):
        p, p_low = multiply(s, s_low, s, s_low)
        s, s_low = add(2.0 * s, 2.0 * s_low, p, p_low)
    s, s_low = add(s, s_low, 1.0, 0.0)
    return scaled_down(s, k), scaled_down(s_low, k)


@compiled
def log1p_scalar(a: float, a_low: float) -> tuple[float, float]:
    """log(1 + a) of a number that is at least 0: one Newton step from the float64 value."""
    y = math.log1p(a)
    e, e_low = exp_scalar(-y, 0.0)
    b, b_low = add(a, a_low, 1.0, 0.0)
    c, c_low = multiply(e, e_low, b, b_low)
    c, c_low = add(c, c_low, -1.0, 0.0)
    s, s_low = multiply(c, c_low, c, c_low)
    c, c_low = add(c, c_low, -0.5 * s, -0.5 * s_low)
    return add(y, 0.0, c, c_low)
