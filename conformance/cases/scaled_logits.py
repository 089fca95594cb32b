"""Scaled logits have a factor in one computation with the op, which a compiler may fuse, contract or move.

The factors are no powers of two, and one is negative: pulled out of the maximum it makes a minimum. Of the first calls
the logits have so few bits that every product is exact, so truth and bounds are those of the product, however it is
fused. The others have logits of all bits, and factors of a few or of all: there a product is rounded, or fused into the
difference that follows (docs/bounds.md, section 3). Where a product overflows it is infinite (specification, section 4,
clause 4); only float32 and float64 have such calls, because a compiler may keep the product of 16-bit numbers in a
wider format.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from lossproof.adapters.protocol import Problem
from lossproof.cases.deck_part import DeckPart
from lossproof.cases.picker import Picker, bell, full_bell
from lossproof.core.call import Call
from lossproof.core.formats import FORMATS, Format

SHAPE = (2, 4)
FACTORS = (3.0, -1.25)
# 1 / sqrt(192), as attention has it, rounded to the format.
ATTENTION = 0.07216878364870323
_DTYPE_OF_CORE = "float32"
# A family of numbers of all bits.
_FULL = "full_mantissas"


def scaled_calls(dtype: str, part: DeckPart) -> Iterator[Call]:
    """Draw the calls of a dtype: each op and factor with small, large, far apart and overflowing products."""
    fmt = FORMATS[dtype]
    for op in ("softmax", "log_softmax", "cross_entropy"):
        for factor in FACTORS:
            pick = part.picker("scaled", op, factor)
            core = dtype == _DTYPE_OF_CORE and (op, factor) in (("softmax", FACTORS[0]), ("log_softmax", FACTORS[1]))
            tier = "core" if core else "full" if dtype == _DTYPE_OF_CORE else "free"
            problem = Problem(op, dtype, np.zeros(SHAPE), scale=factor)
            if op == "cross_entropy":
                problem = replace(problem, target=pick.bits(2, SHAPE[:1]))
            for family, x in _logits(pick, fmt, factor):
                if part.keeps(op, family, dtype, SHAPE):
                    yield Call(replace(problem, x=x), family, part.provenance, tier=tier)
            if factor == FACTORS[0]:
                yield from _rounded(op, factor, fmt, part)
        yield from _rounded(op, full_factors(fmt)[1], fmt, part)


def full_factors(fmt: Format) -> tuple[float, ...]:
    """The factors whose products with numbers of all bits are rounded, each a number of the format."""
    return FACTORS[0], float(fmt.round(np.array(ATTENTION)))


def _rounded(op: str, factor: float, fmt: Format, part: DeckPart) -> Iterator[Call]:
    """Products that are rounded: of one size, far from 0, and so large that a unit of them overflows exp."""
    # The first factor has a compiled program in one op for targets that compile dearly, too.
    core = (fmt.name, op, factor) == (_DTYPE_OF_CORE, "log_softmax", FACTORS[0])
    tier = "core" if core else "full" if fmt.name == _DTYPE_OF_CORE else "free"
    pick = part.picker(_FULL, "scaled", op, factor if factor in FACTORS else "attention")
    labels = pick.bits(2, SHAPE[:1]) if op == "cross_entropy" else None
    unit = full_bell(pick, SHAPE)
    # A sixteenth of the largest number, all bits 1: a fused difference from the rounded product is no small number.
    top = np.array([[fmt.max / 16, 1.0, 2.0, -1.0], [-1.0, 0.5, 2.0, fmt.max / 16]])
    for x in (unit * 4, unit * 4 + np.array([[40.0], [-300.0]]), top):
        if part.keeps(op, _FULL, fmt.name, SHAPE):
            problem = Problem(op, fmt.name, fmt.round(x), labels, scale=factor)
            yield Call(problem, _FULL, part.provenance, tier=tier)


def _logits(pick: Picker, fmt: Format, factor: float) -> Iterator[tuple[str, np.ndarray]]:
    # Multiples of 1/8 up to 3.5: five bits, and with a factor of three bits eight.
    few = np.rint(bell(pick, SHAPE) * 8) / 8
    yield "ordinary", few
    yield "hot", few * 8
    yield "rows_apart", np.rint(few * 2) / 2 + np.array([[16.0], [-16.0]])
    if fmt.bits < 32:
        return
    # Products as exact, and larger: factors that are rounded, such as scale log2(e), are not. Relations start from rows
    # that spread over more than 1, and so from the others.
    yield "offset", np.array([[112.0], [-112.0]]) + np.arange(SHAPE[1]) % 2 / 2
    # Both factors take it beyond the largest number.
    top = 1.75 * 2.0**fmt.emax
    yield "near_overflow", np.rint(few * 2) / 2 * 2.0 ** (fmt.emax - 4)
    over = few.copy()
    over[0, pick.integer(0, SHAPE[1] - 1)] = np.copysign(top, factor)
    yield "positive_infinity", over
    # Two in one row: a difference taken before the factor is finite, the difference of the products is not.
    over = few.copy()
    over[1, 1:3] = np.copysign(top, factor) * np.array([1.0, 1.875 / 1.75])
    yield "positive_infinity", over
    over = few.copy()
    over[1, pick.integer(0, SHAPE[1] - 1)] = -np.copysign(top, factor)
    yield "masked", over
