"""Case families with NaN, infinities and masked classes, and one of numbers that are not nice.

The sentence of each says what it provokes.
"""

from __future__ import annotations

import numpy as np

from lossproof.cases.family import family, row_choice, steps
from lossproof.cases.picker import Picker, bell, full_bell
from lossproof.core.formats import F64, Format


@family(
    "masked classes at -inf: p exactly 0, log p exactly -inf, gradient finite, and 0 * -inf must not appear",
    labels="unmasked",
    log_probs=True,
    regular=False,
)
def masked(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    hide = (pick.bits(1, (n, k)) * (1 - row_choice(pick, n, k))) > 0
    return np.where(hide, -np.inf, bell(pick, (n, k)) * 2)


@family("the target itself masked at -inf: the loss is +inf, the gradient finite", log_probs=True, regular=False)
def masked_target(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    hide = (pick.bits(1, (n, k)) * (1 - row_choice(pick, n, k))) > 0
    return np.where(hide & (np.arange(n)[:, None] % 2 == 0), -np.inf, bell(pick, (n, k)))


@family(
    "a NaN in one row: that row is NaN, the other rows are unaffected",
    needs=lambda n, k: n > 1,
    log_probs=True,
    regular=False,
)
def nan_row(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    x = bell(pick, (n, k))
    x[pick.integer(0, n - 1), pick.integer(0, k - 1)] = np.nan
    return x


@family("+inf among finite logits: NaN or the one-hot limit, never another finite value", regular=False)
def positive_infinity(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    x = bell(pick, (n, k))
    row, first = pick.integer(0, n - 1), pick.integer(0, k - 1)
    x[row, first] = np.inf
    other = pick.integer(0, 2)
    if other:
        # A second one: in the same row, where it makes NaN, or in another.
        x[(row + other - 1) % n, (first + 1) % k] = np.inf
    return x


@family(
    "a row of nothing but -inf: NaN in every entry, not a uniform distribution", needs=lambda n, k: n > 1, regular=False
)
def all_masked_row(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    x = bell(pick, (n, k))
    x[pick.integer(0, n - 1)] = -np.inf
    return x


@family(
    "ignored rows that hold NaN, infinities or nothing but -inf: they may leak into sums, means and gradients",
    needs=lambda n, k: n > 1,
    labels="ignored",
    log_probs=True,
    regular=False,
)
def ignored_garbage(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    x = bell(pick, (n, k))
    first = pick.integer(0, 1) * (n - 1)
    x[first] = pick.choice((np.nan, np.inf, -np.inf))
    if n > 2:
        x[n // 2, pick.integer(0, k - 1)] = pick.choice((np.nan, np.inf, -np.inf))
    return x


@family(
    "the first block of classes at -inf: an online running maximum starts at -inf, and -inf minus -inf is NaN",
    needs=lambda n, k: k > 8,
    labels="unmasked",
    log_probs=True,
    regular=False,
)
def late_start(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    x = np.cumsum(steps(pick, 0.0, min(1.0, 64.0 / k), (n, k)), axis=1)
    hidden = k // 2 if pick.integer(0, 1) else k - 1
    x[:, :hidden] = -np.inf
    return x


@family(
    "logits, targets, weights, smoothing and cotangents with all the bits of the format: what is exact for round "
    "numbers alone",
    random_order=True,
    log_probs=True,
    full=True,
)
def full_mantissas(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    return full_bell(pick, (n, k)) * pick.choice((1.0, 1.0, 12.0))
