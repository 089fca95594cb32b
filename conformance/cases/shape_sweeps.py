"""Sweeps go over shapes where a new one costs nothing: widths, ranks and axes, layouts, extreme sizes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from lossproof.adapters.protocol import LAYOUTS, OPS, Problem
from lossproof.cases.deck_part import DeckPart
from lossproof.cases.drawn import drawn, family_call
from lossproof.cases.families import FAMILIES
from lossproof.cases.signature import NOTHING, Signature, Uses
from lossproof.cases.signatures import WHOLE_IN
from lossproof.core.call import Call
from lossproof.core.formats import FORMATS

# Every width up to two cache lines of a vector unit, around every power of two, and odd ones that no warp divides.
WIDTHS = sorted({*range(1, 67), *(2**e + d for e in range(3, 11) for d in (-1, 0, 1)), *range(73, 1100, 37), 545, 1001})
# Where kernels change: blocks and warps end here.
_EDGES = frozenset(2**e + d for e in range(5, 11) for d in (-1, 0, 1))
# All dims distinct, square, and rich in singletons.
RANKS: tuple[tuple[int, ...], ...] = (
    *((5,), (3, 5), (3, 3), (2, 3, 5), (3, 3, 3), (1, 5, 1), (2, 3, 4, 5), (1, 3, 1, 2, 4), (2, 1, 3, 5, 4)),
)
# Axes of length 1 first, last and between, each axis the class axis once.
HIGH_RANKS: tuple[tuple[int, ...], ...] = ((2, 1, 3, 4, 1, 5), (1, 2, 3, 1, 2, 4, 1), (2, 1, 3, 1, 2, 1, 4, 1))
_SIGNATURES = (
    Signature("softmax"),
    Signature("log_softmax"),
    Signature("cross_entropy", "none", Uses.SMOOTHING),
    Signature("cross_entropy", "mean", Uses.WEIGHT | Uses.IGNORE_INDEX),
    Signature("nll_loss", "mean", Uses.WEIGHT),
)
_PROBABILITIES = Signature("cross_entropy", "none", Uses.PROBABILITIES)
_HUGE_CLASSES, _HUGE_ROWS = 70_000, 100_000
# Equal logits whose exponentials add up to more than float16 has, and to hardly more.
_JUST_HUGE = 65_600
_PLAIN = (Signature("softmax"), Signature("log_softmax"), Signature("cross_entropy", "mean"))
# One of the two ops in each 16-bit format.
_CORE_EXTREMES = tuple(zip(OPS, (f.name for f in FORMATS.values() if f.is_narrow), strict=False))
_LANES = 16
# Family, signature, shape.
Draw = tuple[str, Signature, tuple[int, ...]]


def sweep_calls(dtype: str, part: DeckPart) -> Iterator[Call]:
    """Draw the sweeps of a dtype: one op or two on each width, three on each rank and axis, four on each layout."""
    draws = (*_widths(dtype), *_ranks(dtype), *_layouts(), *_extremes(dtype), *_high_ranks(dtype))
    for name, signature, shape in draws:
        f, k = FAMILIES[name], shape[signature.axis]
        if f.needs(math.prod(shape) // k, k) and part.keeps(signature.op, name, dtype, shape, signature.axis):
            key, tier = ("sweep", name, shape, signature.key), _tier(signature, shape, dtype)
            yield drawn(part, partial(family_call, part, f, signature, shape=shape, dtype=dtype, key=key, tier=tier))
    yield from (call for call in _empty(dtype) if part.has(call.outline, call.family))


def _tier(signature: Signature, shape: tuple[int, ...], dtype: str) -> str:
    """The tier of a sweep's call: of most of them free. Targets that compile get layouts in one dtype, where they have
    any, and the plain ops past the range of 16-bit numbers; covering calls have the other shapes for them."""
    op = signature.op
    if signature.layout != LAYOUTS[0]:
        if dtype != WHOLE_IN:
            return "free"
        return "core" if op == OPS[LAYOUTS.index(signature.layout) % len(OPS)] else "full"
    if signature in _PLAIN and max(shape) in (_HUGE_CLASSES, _HUGE_ROWS):
        return "core" if (op, dtype) in _CORE_EXTREMES and shape[1] == _HUGE_CLASSES else "full"
    return "free"


def _widths(dtype: str) -> Iterator[Draw]:
    turn = list(FORMATS).index(dtype)
    for i, width in enumerate(WIDTHS):
        # One or several rows, and the four ops, by turns: each width meets all of them over the dtypes.
        rows = 1 if (i + turn) % 2 else 3
        own = _SIGNATURES[(i // 2 + turn) % 4]
        yield "hot" if width > 1 else "single", own, (rows, width)
        if width in _EDGES:
            for other in _SIGNATURES[:2]:
                yield "ordinary", other, (4 - rows, width)
                if other is not own:
                    yield "last_class", other, (rows, width)
        if width > _LANES:
            yield "late_peak", _SIGNATURES[(i // 2 + turn) % 2], (rows, width)


def _ranks(dtype: str) -> Iterator[Draw]:
    turn = list(FORMATS).index(dtype)
    for i, shape in enumerate(RANKS):
        for axis in range(len(shape)):
            for signature in (*_SIGNATURES[:2], _SIGNATURES[2 + (i + axis + turn) % 3]):
                yield "ordinary" if shape[axis] > 1 else "single", replace(signature, axis=axis), shape


def _high_ranks(dtype: str) -> Iterator[Draw]:
    """Softmax or log-softmax, and a loss, by turns."""
    turn = list(FORMATS).index(dtype)
    for shape in HIGH_RANKS:
        for axis in range(len(shape)):
            for signature in (_SIGNATURES[(axis + turn) % 2], _SIGNATURES[2 + (len(shape) + axis + turn) % 3]):
                yield "ordinary" if shape[axis] > 1 else "single", replace(signature, axis=axis), shape


def _layouts() -> Iterator[Draw]:
    for layout in LAYOUTS[1:]:
        for signature in (*_SIGNATURES[:3], _PROBABILITIES, Signature("nll_loss", "none")):
            yield "hot", replace(signature, axis=1, layout=layout), (3, 5, 4)


def _extremes(dtype: str) -> Iterator[Draw]:
    """Class and row counts past the finite and the integer range of float16 and the integers of bfloat16."""
    if not FORMATS[dtype].is_narrow:
        return
    classes, rows = (1, _HUGE_CLASSES), (_HUGE_ROWS, 2)
    smoothed = (Uses.SMOOTHING, Uses.PROBABILITIES | Uses.SMOOTHING)
    for signature in (*_PLAIN, *(Signature("cross_entropy", "none", uses) for uses in smoothed)):
        yield "equal", signature, classes
        yield "wide", signature, classes
    yield "equal", Signature("log_softmax"), (1, _JUST_HUGE)
    for reduction, uses in (("mean", NOTHING), ("none", NOTHING), ("mean", Uses.WEIGHT)):
        yield "long_batch", Signature("cross_entropy", reduction, uses), rows
    yield "long_batch", Signature("nll_loss", "mean"), rows


def _empty(dtype: str) -> Iterator[Call]:
    """Batches without rows (specification, section 4, clause 10)."""
    for op in ("cross_entropy", "nll_loss"):
        for reduction in ("none", "sum", "mean"):
            shape = (0,) if reduction == "none" else ()
            problem = Problem(
                op, dtype, np.zeros((0, 4)), np.zeros(0, np.int64), cotangent=np.ones(shape), reduction=reduction
            )
            yield Call(problem, "ordinary", "no rows", tier="free")
    for op in ("softmax", "log_softmax"):
        yield Call(Problem(op, dtype, np.zeros((0, 4)), cotangent=np.zeros((0, 4))), "ordinary", "no rows", tier="free")
