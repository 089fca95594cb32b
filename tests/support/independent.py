"""A second computation of the specification, to guard the use of Arb: rationals, and integer Taylor series.

Nothing here is shared with the engine: no flint, no numpy, no function of ``conformance``. Everything rational is an
exact ``Fraction``; exp and log are series in integers whose remainders are bounded, so that every result is an
interval that contains the exact value. Slow, and meant for small shapes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

BITS = 320
Number = Fraction | int | float
FAR = 8000


def _down(v: Fraction) -> Fraction:
    """The largest number of BITS significant bits below ``v``."""
    n, d = v.numerator, v.denominator
    shift = BITS - abs(n).bit_length() + d.bit_length()
    if shift >= 0:
        return Fraction((n << shift) // d, 1 << shift)
    return Fraction((n // (d << -shift)) << -shift)


def _up(v: Fraction) -> Fraction:
    return -_down(-v)


class Interval:
    """All numbers from ``lo`` to ``hi``; operations round outward."""

    def __init__(self, lo: Number, hi: Number | None = None) -> None:
        self.lo, self.hi = _down(Fraction(lo)), _up(Fraction(lo if hi is None else hi))

    def __add__(self, other: Interval | Number) -> Interval:
        b = lift(other)
        return Interval(self.lo + b.lo, self.hi + b.hi)

    __radd__ = __add__

    def __neg__(self) -> Interval:
        return Interval(-self.hi, -self.lo)

    def __sub__(self, other: Interval | Number) -> Interval:
        return self + -lift(other)

    def __rsub__(self, other: Number) -> Interval:
        return lift(other) - self

    def __mul__(self, other: Interval | Number) -> Interval:
        b = lift(other)
        products = [p * q for p in (self.lo, self.hi) for q in (b.lo, b.hi)]
        return Interval(min(products), max(products))

    __rmul__ = __mul__

    def __truediv__(self, other: Interval | Number) -> Interval:
        b = lift(other)
        if b.lo <= 0 <= b.hi:
            raise ZeroDivisionError("interval contains 0")
        quotients = [p / q for p in (self.lo, self.hi) for q in (b.lo, b.hi)]
        return Interval(min(quotients), max(quotients))

    def __rtruediv__(self, other: Number) -> Interval:
        return lift(other) / self

    def __repr__(self) -> str:
        return f"[{float(self.lo)!r}, {float(self.hi)!r}]"

    def within(self, mid: float, low: float, rad: float) -> bool:
        """Whether the whole interval lies within ``rad`` of ``mid + low``."""
        centre = Fraction(mid) + Fraction(low)
        return centre - Fraction(rad) <= self.lo and self.hi <= centre + Fraction(rad)

    def meets(self, mid: float, low: float, rad: float) -> bool:
        """Whether some of the interval lies within ``rad`` of ``mid + low``: all that can be asked beyond BITS."""
        centre = Fraction(mid) + Fraction(low)
        return centre - Fraction(rad) <= self.hi and self.lo <= centre + Fraction(rad)


def lift(v: Interval | Number) -> Interval:
    return v if isinstance(v, Interval) else Interval(v)


def _exp_positive(v: Fraction) -> tuple[Fraction, Fraction]:
    """exp(v) for v > 0: Taylor at v / 2^n < 1/256, then n squarings, in fixed point."""
    n = max(0, math.floor(v).bit_length() + 8)
    shift = BITS + n + 48
    lo = (v.numerator << shift) // (v.denominator << n)
    hi = lo + 1
    ends = []
    for t, up in ((lo, 0), (hi, 1)):
        total, term, k = 1 << shift, 1 << shift, 0
        while term > 1 or k < 4:
            k += 1
            term = -((-term * t) // (k << shift)) if up else (term * t) // (k << shift)
            total += term
            if up and term <= 1:
                break
        # Every later term is at most 1/256 of its predecessor: together they stay below the last one.
        total += 2 * term if up else 0
        for _ in range(n):
            total = -((-total * total) >> shift) if up else (total * total) >> shift
        ends.append(Fraction(total, 1 << shift))
    return ends[0], ends[1]


def exp(x: Interval | Number) -> Interval:
    """exp; below -FAR the interval [0, 2^-FAR]."""
    x = lift(x)
    return Interval(_exp_end(x.lo)[0], _exp_end(x.hi)[1])


def _exp_end(v: Fraction) -> tuple[Fraction, Fraction]:
    if v == 0:
        return Fraction(1), Fraction(1)
    if v < -FAR:
        return Fraction(0), Fraction(1, 1 << FAR)
    lo, hi = _exp_positive(abs(v))
    return (lo, hi) if v > 0 else (1 / hi, 1 / lo)


def _atanh(z: Fraction) -> tuple[Fraction, Fraction]:
    """atanh(z) for 0 < z <= 1/3 by its series, relative to the size of z."""
    shift = BITS + 48 + z.denominator.bit_length() - z.numerator.bit_length()
    lo = (z.numerator << shift) // z.denominator
    ends = []
    for t, up in ((lo, 0), (lo + 1, 1)):
        square = -((-t * t) >> shift) if up else (t * t) >> shift
        power, total, k = t, 0, 1
        while power > 1:
            total += -(-power // k) if up else power // k
            power = -((-power * square) >> shift) if up else (power * square) >> shift
            k += 2
            if k > 2000:
                raise ArithmeticError("series does not converge")
        # The tail is below power / (1 - z^2) <= 9/8 power.
        ends.append(Fraction(total + (4 * power + 4 if up else 0), 1 << shift))
    return ends[0], ends[1]


def _log_end(v: Fraction) -> tuple[Fraction, Fraction]:
    """log(v) for v > 0, with relative accuracy also near 1."""
    if v == 1:
        return Fraction(0), Fraction(0)
    k = v.numerator.bit_length() - v.denominator.bit_length()
    f = v / Fraction(2) ** k
    if f > Fraction(4, 3):
        f, k = f / 2, k + 1
    elif f < Fraction(2, 3):
        f, k = f * 2, k - 1
    z = (f - 1) / (f + 1)
    a, b = _atanh(abs(z)) if z else (Fraction(0), Fraction(0))
    lo, hi = (2 * a, 2 * b) if z >= 0 else (-2 * b, -2 * a)
    if k:
        c, d = _atanh(Fraction(1, 3))
        lo, hi = (lo + 2 * k * c, hi + 2 * k * d) if k > 0 else (lo + 2 * k * d, hi + 2 * k * c)
    return lo, hi


def log(x: Interval | Number) -> Interval:
    x = lift(x)
    return Interval(_log_end(x.lo)[0], _log_end(x.hi)[1])


def log1p(r: Interval | Number) -> Interval:
    """log(1 + r) for r >= 0 without forming 1 + r in BITS bits."""
    r = lift(r)
    return Interval(_log_end(1 + r.lo)[0], _log_end(1 + r.hi)[1])


def total(values: Sequence[Interval | Number]) -> Interval:
    return sum((lift(v) for v in values), Interval(0))


def softmax_row(x: Sequence[float]) -> tuple[list[Interval], list[Interval | float]]:
    """p and log p of a row of finite or -inf logits (specification, section 1; clause 2)."""
    present = [j for j, v in enumerate(x) if v != -math.inf]
    m = max(Fraction(x[j]) for j in present)
    first = next(j for j in present if Fraction(x[j]) == m)
    e = {j: exp(Fraction(x[j]) - m) for j in present}
    rest = total([e[j] for j in present if j != first])
    p = [e[j] / (1 + rest) if j in e else Interval(0) for j in range(len(x))]
    log_s = log1p(rest)
    y: list[Interval | float] = [Interval(Fraction(x[j]) - m) - log_s if j in e else -math.inf for j in range(len(x))]
    return p, y


def positions(shape: Sequence[int], axis: int) -> list[list[int]]:
    """For each row, the flat (row-major) positions of its classes; rows in row-major order of the other axes."""
    axis %= len(shape)
    strides = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    others = [range(s) for i, s in enumerate(shape) if i != axis]
    rest = [s for i, s in enumerate(strides) if i != axis]
    return [
        [sum(a * s for a, s in zip(at, rest, strict=True)) + j * strides[axis] for j in range(shape[axis])]
        for at in itertools.product(*others)
    ]


def evaluate(
    op: str,
    x: Sequence[float],
    shape: Sequence[int],
    *,
    axis: int = -1,
    labels: Sequence[int] | None = None,
    q: Sequence[float] | None = None,
    weight: Sequence[float] | None = None,
    ignore_index: int | None = None,
    reduction: str = "mean",
    eps: float = 0.0,
    cotangent: Sequence[float] | None = None,
) -> tuple[list[Interval | float], list[Interval] | None]:
    """Value and VJP with respect to x, flat and row-major in their own shapes (specification, sections 2 and 3).

    Arrays come flat; rows are regular: finite logits, and -inf where the class has no part in the loss.
    """
    rows = positions(shape, axis)
    k = shape[axis]
    logits = [[x[at] for at in row] for row in rows]
    if op in ("softmax", "log_softmax"):
        return _elementwise(op, logits, rows, cotangent)
    w = [Fraction(v) for v in weight] if weight is not None else [Fraction(1)] * k
    share = Fraction(eps)
    losses: list[Interval] = []
    directions: list[list[Interval]] = []
    denominator = Fraction(0)
    for n, row in enumerate(rows):
        if labels is not None and labels[n] == ignore_index and ignore_index is not None:
            losses.append(Interval(0))
            directions.append([Interval(0)] * k)
            denominator += reduction == "mean_over_rows"
            continue
        if q is not None:
            given, own = [Fraction(q[at]) for at in row], Fraction(1)
        else:
            # sanity check: a loss has targets
            assert labels is not None
            given, own = [Fraction(int(j == labels[n])) for j in range(k)], w[labels[n]]
        mixed = [(1 - share) * v + share / k for v in given]
        c = [a * b for a, b in zip(w, mixed, strict=True)]
        denominator += own if reduction == "mean" else 1
        if op == "nll_loss":
            # sanity check: nll_loss has index targets
            assert labels is not None
            losses.append(-w[labels[n]] * Interval(logits[n][labels[n]]))
            directions.append([Interval(-v) for v in c])
            continue
        p, y = softmax_row(logits[n])
        losses.append(-total([c[j] * y[j] for j in range(k) if c[j] != 0]))
        directions.append([sum(c) * p[j] - c[j] for j in range(k)])
    value: list[Interval | float]
    if reduction == "none":
        value = list(losses)
    elif reduction == "sum":
        value = [total(losses)]
    else:
        value = [total(losses) / denominator]
    if cotangent is None:
        return value, None
    vjp = [Interval(0)] * len(x)
    for n, row in enumerate(rows):
        g = Fraction(cotangent[n] if reduction == "none" else cotangent[0])
        g = g / denominator if reduction in ("mean", "mean_over_rows", "mean_over_kept") else g
        for j, at in enumerate(row):
            vjp[at] = g * directions[n][j]
    return value, vjp


def _elementwise(
    op: str, logits: list[list[float]], rows: list[list[int]], cotangent: Sequence[float] | None
) -> tuple[list[Interval | float], list[Interval] | None]:
    size = sum(map(len, rows))
    value: list[Interval | float] = [Interval(0)] * size
    vjp = [Interval(0)] * size
    for x, row in zip(logits, rows, strict=True):
        p, y = softmax_row(x)
        for j, at in enumerate(row):
            value[at] = p[j] if op == "softmax" else y[j]
        if cotangent is None:
            continue
        v = [Fraction(cotangent[at]) for at in row]
        inner = total([p[j] * v[j] for j in range(len(x))])
        for j, at in enumerate(row):
            vjp[at] = p[j] * (v[j] - inner) if op == "softmax" else v[j] - p[j] * sum(v)
    return value, None if cotangent is None else vjp
