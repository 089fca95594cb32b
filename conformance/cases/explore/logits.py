"""Logits of exploration: families that are too wild for the deck, where every case is read by a person.

With zero bits each gives zeros or the simplest of its kind, so that a failure shrinks to plain numbers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lossproof.cases.family import DrawLogits, Family
from lossproof.cases.picker import Picker, fraction
from lossproof.core.formats import F64, Format

_KINDS = ((-np.inf,), (np.inf,), (np.nan,), (-np.inf, np.inf), (-np.inf, np.nan), (-np.inf, np.inf, np.nan))
_WHERE = ("one", "entries", "entries", "rows", "all but one")


def plain(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    """Draw multiples of 1/4 from 0 to 63.75, small ones first."""
    return pick.bits(8, (n, k)) / 4.0


def full(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    """Draw numbers up to 8, or to 1024, with all the bits of the format, of one or both signs."""
    x = fraction(pick, (n, k)) * pick.choice((8.0, 8.0, 64.0, 1024.0))
    return np.where(pick.bits(1, (n, k)) == 1, -x, x) if pick.integer(0, 1) else x


def special(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    """Draw logits of one size, with one to three kinds of special values in an entry, here and there, or in rows."""
    x = pick.bits(5, (n, k)) / 4.0
    kinds = np.array(pick.choice(_KINDS))
    values = kinds[pick.bits(16, (n, k)) * len(kinds) >> 16]
    return np.where(_spots(pick, n, k), values, x)


def half_masked(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    """Draw logits of one size, every other one -inf by chance: weights of both signs meet infinite losses of both."""
    return np.where(pick.bits(1, (n, k)) == 1, -np.inf, pick.bits(5, (n, k)) / 4.0)


def _spots(pick: Picker, n: int, k: int) -> NDArray[np.bool_]:
    where = pick.choice(_WHERE)
    if where == "entries":
        return np.asarray(pick.bits(2, (n, k)) == 1)
    rows = pick.bits(1, (n, 1)) == 0
    one = np.arange(k) == pick.bits(16, (n, 1)) * k >> 16
    return np.broadcast_to(rows & (one if where == "one" else ~one if where == "all but one" else True), (n, k))


def extreme(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    """Draw any bit pattern and the format's extremes; few rows are not finite, so that others are worth a look."""
    table = np.array([fmt.max, -fmt.max, fmt.min_normal, -fmt.min_normal, fmt.min_subnormal, -0.0, 1.0, -1.0])
    odd = np.array([np.inf, -np.inf, np.nan, -np.inf])
    x = _patterns(pick, fmt, (n, k)) if pick.integer(0, 1) else pick.bits(8, (n, k)) / 4.0
    which = pick.bits(5, (n, k))
    x = np.where((which > 0) & (which <= len(table)), table[np.clip(which - 1, 0, len(table) - 1)], x)
    strange = (pick.bits(2, (n, 1)) == 1) & ((which > 27) | ~np.isfinite(x))
    tame = np.where(np.isfinite(x), x, fmt.max)
    return np.where(strange, np.where(which > 27, odd[which % 4], x), tame)


def large(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    """Draw multiples of 1/512 of the largest number, up to its half and of one sign: no difference of two overflows."""
    return np.asarray(pick.choice((1.0, -1.0)) * pick.bits(8, (n, k)) * (fmt.max / 512), dtype=np.float64)


def vast(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    """Draw multiples of 1/256 of the largest number, of one sign: a factor beyond 1 takes some of them past it."""
    return np.asarray(pick.choice((1.0, -1.0)) * pick.bits(8, (n, k)) * (fmt.max / 256), dtype=np.float64)


def tied(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    """Draw ties of the largest logits at magnitudes where the logarithm of the sum, or a unit, is below one spacing."""
    big = 2.0**fmt.precision
    sizes = (0.0, 1.0, big, 8 * big, fmt.max / 2, fmt.max, np.ldexp(1.0, pick.integer(0, fmt.emax)))
    top = pick.choice((1.0, -1.0)) * pick.choice(sizes)
    step = fmt.spacing(np.array(top)) * np.ldexp(1.0, pick.integer(0, 8))
    lower = pick.choice((top - step, top - 1.0, -abs(top), min(top, 0.0)))
    return np.array([top, top, top - step, lower])[pick.bits(2, (n, k))]


def _patterns(pick: Picker, fmt: Format, shape: tuple[int, ...]) -> F64:
    """Uniformly drawn bit patterns of the format, widened to float64."""
    low = pick.bits(min(fmt.bits, 32), shape).astype(np.uint64)
    high = pick.bits(32, shape).astype(np.uint64) if fmt.bits > 32 else np.zeros(shape, dtype=np.uint64)
    return fmt.of_bits(high << np.uint64(32) | low)


def _family(make: DrawLogits, provokes: str) -> Family:
    def rounded(pick: Picker, fmt: Format, n: int, k: int) -> F64:
        with np.errstate(all="ignore"):
            return fmt.round(make(pick, fmt, n, k))

    return Family(make.__name__, provokes, rounded, needs=lambda n, k: True)


EXPLORED: dict[str, Family] = {
    f.name: f
    for f in (
        _family(plain, "small multiples of 1/4: what a failure that needs no particular logits shrinks to"),
        _family(full, "all the bits of the format: differences, products and sums are rounded"),
        _family(special, "NaN and infinities in every arrangement: one entry, some, whole rows, all but one"),
        _family(half_masked, "many masked classes in a row, those of the targets among them"),
        _family(extreme, "any bit pattern, and the largest and smallest numbers of the format"),
        _family(large, "near half of the largest number: differences are finite, sums and products of them are not"),
        _family(vast, "near the largest number: a factor before the op overflows in some classes"),
        _family(tied, "equal largest logits at magnitudes that absorb the logarithm of the sum, or a unit"),
    )
}
