"""Pairs: every two numbers of a 16-bit format as the logits of a row of two classes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from lossproof.cases.sweeps.forms import swept_calls
from lossproof.cases.sweeps.kind import SweepKind, family_of
from lossproof.core.call import Call
from lossproof.core.formats import F64, FORMATS

_NAME = "pairs16"
# First logits of a chunk: with all second ones 2^20 rows.
_TOGETHER = 16
# What is within this factor of the largest number may overflow, and is judged apart.
_NEAR = 8.0


@lru_cache(maxsize=4)
def _numbers(dtype: str) -> F64:
    """Every number of a format, in the order of the bit patterns."""
    return FORMATS[dtype].of_bits(np.arange(1 << FORMATS[dtype].bits, dtype=np.uint64))


def _make(op: str, dtype: str, bin: int) -> Iterator[Call]:
    """The calls of one first logit: its rows with second ones that are nowhere near the largest number, those with
    larger ones, and those with others.

    Of NaN there is one: that of the first pattern has all of its rows, the others have one each.
    """
    numbers = _numbers(dtype)
    first = numbers[bin]
    usual = np.abs(numbers) <= FORMATS[dtype].max / _NEAR
    large = np.isfinite(numbers) & ~usual
    special = np.array([np.inf, -np.inf, np.nan])
    repeated = np.isnan(first) and not np.isinf(numbers[bin - 1])
    for second in (np.zeros(1),) if repeated else (numbers[usual], numbers[large], special):
        rows = np.stack([np.full(len(second), first), second], axis=1)
        yield from swept_calls(op, dtype, family_of(_NAME, bin), rows, derivatives=False, label=1)


def _span(dtype: str, bin: int) -> tuple[float, float]:
    first = float(_numbers(dtype)[bin])
    return first, first


PAIRS16 = SweepKind(
    name=_NAME,
    says="every two numbers of a 16-bit format as the logits of a row of two classes, with the gradient",
    dtypes=tuple(f.name for f in FORMATS.values() if f.bits == 16),
    bins=lambda dtype: 1 << FORMATS[dtype].bits,
    together=lambda dtype: _TOGETHER,
    make=_make,
    span=_span,
    swept="first logit",
    inputs=lambda dtype: 1 << FORMATS[dtype].bits,
)
