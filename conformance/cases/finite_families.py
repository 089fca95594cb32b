"""Case families of finite logits, each with the sentence that says what it provokes."""

from __future__ import annotations

import numpy as np

from lossproof.cases.family import LN2, exp_cliff, family, row_choice, steps, sum_cliff
from lossproof.cases.picker import Picker, bell
from lossproof.core.formats import F64, Format


@family(
    "nothing in particular: unit-scale logits that every implementation gets right", random_order=True, log_probs=True
)
def ordinary(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    return bell(pick, (n, k))


@family("one class far ahead: p_y - 1 and log p_y cancel, and an epsilon or a clip shows", labels="top")
def confident(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    return bell(pick, (n, k)) + row_choice(pick, n, k) * steps(pick, 6.0, 24.0, (n, 1))


@family(
    "moderate spread: the middle of exp's range, where its relative error and rounded inputs show", random_order=True
)
def hot(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    return bell(pick, (n, k)) * 8


@family("a large common offset: exp overflows or vanishes unless the row maximum is subtracted first")
def offset(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    sign = pick.choice((-1.0, 1.0))
    size = pick.choice((2.0**7, 2.0**9, 2.0 ** (fmt.precision - 3), 2.0 ** min(fmt.precision + 2, 15)))
    return bell(pick, (n, k)) * 4 + sign * size


@family("rows at very different offsets: a shift by anything but the row's own maximum under- or overflows")
def rows_apart(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    size = pick.choice((2.0**7, 2.0**10, 2.0**14))
    ladder = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)[:, None] * steps(pick, 0.5, 1.0, (n, 1))
    return bell(pick, (n, k)) * 4 + size * ladder


@family("all logits far below zero: a maximum that starts at 0 makes every exponential vanish")
def all_negative(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    return -np.abs(bell(pick, (n, k))) * 4 - pick.choice((110.0, 800.0, 4096.0))


@family("gaps up to and past exp's underflow: log of an underflowed probability is -inf, a clamp is visible")
def spread(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    reach = pick.choice((1.25, 2.0, 4.0)) * max(exp_cliff(fmt), 88.0)
    x = -steps(pick, 0.0, reach, (n, k))
    return x - x.max(axis=1, keepdims=True)


@family("gaps at the edge of the normal and subnormal range of exp: flushed or overflowing intermediates")
def cliff(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    edge = exp_cliff(fmt)
    last = (1 - fmt.emin + fmt.precision - 2) * LN2
    gaps = np.array([0.0, edge - 0.5, edge + 0.5, last - 0.5, last + 1.0, edge / 2, sum_cliff(fmt), 88.5])
    which = pick.bits(3, (n, k)) * (1 - row_choice(pick, n, k))
    return -gaps[which.astype(np.int64)]


@family("all logits equal: every class counts, the sum is exactly K")
def equal(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    return np.zeros((n, k)) + pick.choice((0.0, 1.0, -3.0, 12.0))


@family("two levels: ties for the maximum, and a far level that must neither vanish from log p nor count in the sum")
def two_level(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    gap = pick.choice((1.0, 12.0, 30.0, 100.0))
    low = pick.bits(1, (n, k)) * (1 - row_choice(pick, n, k))
    return -gap * low


@family("ascending classes: the running maximum grows at every step, so an online sum must rescale")
def ascending(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    step = pick.choice((0.5, 1.0, 2.0)) * min(1.0, 64.0 / k)
    return np.cumsum(steps(pick, step / 2, step, (n, k)), axis=1)


@family("descending classes: small terms are added to a sum that is already large")
def descending(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    step = pick.choice((0.5, 1.0, 2.0)) * min(1.0, 64.0 / k)
    return -np.cumsum(steps(pick, step / 2, step, (n, k)), axis=1)


@family("one class dominates by far: all others are below rounding, their log p is not", labels="any")
def dominating(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    return row_choice(pick, n, k) * pick.choice((20.0, 40.0, 90.0, 120.0, 1000.0)) + bell(pick, (n, k)) / 8


@family("the last class dominates: dropping it, or padding after it, changes everything", labels="top")
def last_class(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    return bell(pick, (n, k)) + (np.arange(k) == k - 1) * pick.choice((2.0, 6.0, 10.0))


@family(
    "a late class is the largest by far: with the maximum of the first lanes or blocks exp overflows",
    needs=lambda n, k: k > 16,
)
def late_peak(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    at = k - 1 - (pick.bits(16, (n, 1)) * (k // 2) >> 16)
    return bell(pick, (n, k)) + (np.arange(k) == at) * pick.choice((90.0, 720.0, 12.0))


@family("one 0 and many terms just under the roundoff of 1: a sum that starts at 1 stagnates", needs=lambda n, k: k > 2)
def stagnation(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    gap = sum_cliff(fmt) + 0.01 if pick.integer(0, 1) else 11 * LN2 + 0.01
    x = np.full((n, k), -gap)
    x[:, 0] = 0.0
    return x


@family(
    "magnitudes near the format's largest: the shift itself may overflow, the result may not be NaN where it does not"
)
def near_overflow(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    top = fmt.max
    sign = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)[:, None]
    x = sign * top * steps(pick, 0.5, 1.0, (n, k))
    mixed = pick.integer(0, 2) == 0
    return np.where(mixed & (pick.bits(1, (n, k)) == 1), -x, x)


@family("subnormal logits: flushing them is harmless, treating them as special is not", log_probs=True)
def subnormal(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    count = pick.bits(min(fmt.precision, 32), (n, k)) - pick.bits(3, (n, k))
    return count.astype(np.float64) * fmt.min_subnormal


@family("two classes: the smallest sum, where the bound is tightest", needs=lambda n, k: k == 2, random_order=True)
def binary(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    x = bell(pick, (n, k))
    x[:, 1] = x[:, 0] + np.where(pick.bits(1, (n,)) == 1, 1.0, -1.0) * steps(pick, 0.0, 16.0, (n,))
    return x


@family("one class: p = 1, log p = 0, gradient 0, whatever the logit", needs=lambda n, k: k == 1)
def single(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    return bell(pick, (n, k)) * pick.choice((1.0, 64.0, 8192.0))


@family(
    "hundreds of classes: accumulators, padding and blocks of the class loop",
    needs=lambda n, k: k >= 100,
    random_order=True,
    log_probs=True,
)
def wide(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    return bell(pick, (n, k)) * pick.choice((0.25, 2.0))


@family(
    "thousands of rows: the accumulator and the denominator of sum and mean",
    needs=lambda n, k: n >= 1000,
    random_order=True,
    log_probs=True,
)
def long_batch(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    x = bell(pick, (n, k))
    x[:, 0] += pick.choice((0.0, 20.0))
    return x


@family("each half of the format's exponent range: scaling or squaring an exponential leaves it", log_probs=True)
def half_cliff(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    half = exp_cliff(fmt) / 2
    gaps = np.array([0.0, half - 0.25, half + 0.25, (fmt.precision + 1) * LN2, 2 * sum_cliff(fmt), 5.5, 16.5, 43.75])
    which = pick.bits(3, (n, k)) * (1 - row_choice(pick, n, k))
    return -gaps[which.astype(np.int64)]


@family("the largest possible spread that still has a finite difference: a product with log2(e) overflows")
def scaled_overflow(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    top = fmt.max * 0.49
    return np.where(row_choice(pick, n, k) > 0, top, top * steps(pick, -1.0, 0.75, (n, k)))
