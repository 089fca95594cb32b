"""Covering calls hold every class of shapes for every op in few signatures, for targets that pay for each of them.

Rank and class axis, class count, number of rows, singleton axes, dtype, options, and whether a gradient is wanted vary
together. Values alone are a class of their own: a compiler fuses what nobody differentiates in another way, and a
release has been wrong there alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from lossproof.adapters.protocol import DTYPES, LOSSES, OPS, REDUCTIONS, Problem
from lossproof.cases.deck_part import DeckPart
from lossproof.cases.drawn import drawn, family_call
from lossproof.cases.families import FAMILIES
from lossproof.cases.signature import NOTHING, Signature, Uses
from lossproof.cases.signatures import WHOLE_IN
from lossproof.core.call import Call
from lossproof.core.formats import FORMATS

ALL_RANKS = range(1, 9)
# Up to this rank values alone and with gradients; beyond it, where shapes are many, one of them: a gradient each third
# time, which takes three programs or more where operations are compiled one by one.
_BOTH_TO = 3
_GRADIENT_EACH = 3
# The ranks up to 4, by class axis. Batches behind a leading class axis have no axis of length 1, which compilers drop.
_SMALL: tuple[tuple[tuple[int, ...], ...], ...] = (
    ((7,),),
    ((24, 1), (1, 48)),
    ((12, 2, 3), (4, 100, 1), (4, 1, 3)),
    ((6, 2, 3, 4), (1, 9, 4, 1), (4, 1, 200, 3), (2, 3, 1, 2)),
)
# Class counts and rows of the higher ranks, by turns: wide rows, where kernels change, and tall batches.
_WIDE = (1024, 1, 2049, 65_537, 800, 4096, 262_144, 1281, 70_000, 8192, 3000, 131_073, 400, 16_384, 151_936, 32_768)
_TALL = ((5000, 3), (65_537, 2), (4097, 4), (131_073, 2), (8193, 3), (1000, 5), (4096, 2), (96, 7))
_CUBE = 3
_FACTORS = {5000: (8, 625), 4097: (17, 241), 131_073: (3, 43_691), 8193: (3, 2731)}
_LOSS_OPTIONS = (
    *(NOTHING, Uses.WEIGHT, Uses.PROBABILITIES, Uses.IGNORE_INDEX, Uses.SMOOTHING, Uses.WEIGHT | Uses.IGNORE_INDEX),
    *(Uses.PROBABILITIES | Uses.WEIGHT, Uses.SMOOTHING | Uses.WEIGHT, Uses.PROBABILITIES | Uses.SMOOTHING),
)
# Values that a wide row holds besides: the same programs serve them.
_SPECIAL = ("nan_row", "positive_infinity", "late_start", "all_masked_row", "masked_target")
_SPECIAL_WIDTHS = (2049, 8192)
_TWO_TILES = (2, 1025)
_WIDEST_BITS, _BEYOND_WIDEST = 64, 2**17
_PLAIN = "ordinary"
# Class counts where shapes cost nothing, and from which on axes of length 2 would be too many rows.
_FEW = (3, 12, 48, 100, 200, 400, 800, 3000, 5)
_SMALL_ROWS = 400
# Another number than that of the sweeps' empty batches.
_EMPTY_CLASSES = 3


@dataclass(frozen=True)
class CoveringPlace:
    """A shape with its class axis, and the position among all of them."""

    shape: tuple[int, ...]
    axis: int
    position: int

    @property
    def classes(self) -> int:
        """The number of classes."""
        return self.shape[self.axis]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return math.prod((*self.shape[: self.axis], *self.shape[self.axis + 1 :]))


def places() -> list[CoveringPlace]:
    """Every rank with every class axis, once."""
    found: list[CoveringPlace] = []
    large = [*((None, k) for k in _WIDE), *_TALL, (None, _CUBE), (None, _CUBE)]
    # Wide rows and tall batches by turns, so that neither is on the first ranks alone.
    order = sorted(range(len(large)), key=lambda i: (i * 7) % len(large))
    for rank in ALL_RANKS:
        for axis in range(rank):
            position = len(found)
            if rank <= len(_SMALL):
                found.append(CoveringPlace(_SMALL[rank - 1][axis], axis, position))
                continue
            rows, k = large[order[position - sum(ALL_RANKS[: len(_SMALL)])]]
            others = _others(rank - 1, rows, k, position)
            found.append(CoveringPlace((*others[:axis], k, *others[axis:]), axis, position))
    return found


def _others(count: int, rows: int | None, k: int, position: int) -> list[int]:
    """The lengths of the other axes: a tall batch on one or two of them, beside a wide row as many as that is cheap."""
    found = [1] * count
    if rows is not None:
        for i, factor in enumerate(_FACTORS.get(rows, (rows,))):
            found[(position + i) % count] = factor
        return found
    several = count - 1 if k <= 4096 else 1 if k < 2**16 else 0
    for i in range(several):
        found[(position + 1 + i) % count] = 2
    return found


def covering_calls(dtype: str, part: DeckPart) -> Iterator[Call]:
    """Draw the calls of a dtype: of each op every fourth place, so that all dtypes have all of them together.

    Where a new signature costs nothing, each rank, class axis and singleton axis follows in the other dtypes, with
    other class counts.
    """
    yield from _empty(dtype, part)
    yield from _special(dtype, part)
    for place in places():
        for i, op in enumerate(OPS):
            turn = place.position + i
            if _dtype(turn, place) != dtype:
                yield from _elsewhere(op, turn, dtype, place, part)
                continue
            signature = _signature(op, turn, place)
            wanted = (True, False) if len(place.shape) <= _BOTH_TO else (turn % _GRADIENT_EACH == 0,)
            tier = _tier(op, place)
            for gradient in wanted:
                for name in _families(op, place):
                    if not part.keeps(op, name, dtype, place.shape, place.axis):
                        continue
                    make = partial(
                        family_call,
                        part,
                        FAMILIES[name],
                        signature,
                        shape=place.shape,
                        dtype=dtype,
                        key=("covering", name, place.shape, signature.key, gradient),
                        tier=tier if gradient or len(wanted) == 1 else "full",
                    )
                    yield drawn(part, partial(_with_last_label, make, gradient=gradient))


def _empty(dtype: str, part: DeckPart) -> Iterator[Call]:
    """Batches without rows, one op in each dtype."""
    op = OPS[DTYPES.index(dtype) % len(OPS)]
    if part.keeps(op, _PLAIN, dtype, (0, _EMPTY_CLASSES)):
        x = np.zeros((0, _EMPTY_CLASSES))
        tier = "core" if op == OPS[0] else "full"
        if op in LOSSES:
            p = Problem(op, dtype, x, np.zeros(0, dtype=np.int64), cotangent=np.ones(()), reduction="sum")
        else:
            p = Problem(op, dtype, x, cotangent=x)
        yield Call(p, _PLAIN, "no rows", tier=tier)


def _special(dtype: str, part: DeckPart) -> Iterator[Call]:
    """Every special value in rows that are wide enough for a second tile, of every op."""
    place = CoveringPlace(_TWO_TILES, 1, 0)
    for op in OPS:
        signature = _signature(op, DTYPES.index(dtype), place)
        for name in _SPECIAL:
            f = FAMILIES[name]
            if (op != "nll_loss" or f.log_probs) and part.keeps(op, name, dtype, _TWO_TILES, place.axis):
                key = ("covering", name, _TWO_TILES, signature.key)
                make = partial(family_call, part, f, signature, shape=_TWO_TILES, dtype=dtype, key=key, tier="free")
                yield drawn(part, partial(_with_last_label, make))


def _elsewhere(op: str, turn: int, dtype: str, place: CoveringPlace, part: DeckPart) -> Iterator[Call]:
    rank, axis = len(place.shape), place.axis
    k = _FEW[place.position % len(_FEW)]
    several = 2 if k < _SMALL_ROWS else 1
    shape = tuple(k if i == axis else 1 if (i - axis) % 2 else several for i in range(rank))
    if (rank, axis) == (2, 1) and op not in LOSSES:
        # A batch that the menu has for losses.
        shape = (4096, 2)
    few = replace(place, shape=shape)
    signature = _signature(op, turn, few)
    if part.keeps(op, _PLAIN, dtype, shape, axis):
        key, f = ("covering", _PLAIN, shape, signature.key), FAMILIES[_PLAIN]
        yield drawn(part, partial(family_call, part, f, signature, shape=shape, dtype=dtype, key=key, tier="free"))


def _with_last_label(make: Callable[[], Call], *, gradient: bool = True) -> Call:
    """The call that is made, with the last class as the label of the last row where rows are wide, and perhaps without
    a gradient."""
    call = make()
    p = call.problem if gradient else replace(call.problem, cotangent=None)
    k = p.x.shape[p.axis]
    if p.target is None or p.has_probability_target or k < _WIDE[0]:
        return call.with_problem(p)
    target = p.target.copy()
    target.flat[-1] = k - 1
    return call.with_problem(replace(p, target=target))


def _tier(op: str, place: CoveringPlace) -> str:
    """One op of each place goes to those that compile dearly, all but nll_loss to those that compile cheaply."""
    if place.position % len(OPS) == OPS.index(op):
        return "core"
    return "full" if len(place.shape) <= _BOTH_TO or op != "nll_loss" else "free"


def _dtype(turn: int, place: CoveringPlace) -> str:
    dtype = DTYPES[turn % len(DTYPES)]
    # The oracle has to work for float64 what it need not for the others.
    return WHOLE_IN if FORMATS[dtype].bits == _WIDEST_BITS and place.classes > _BEYOND_WIDEST else dtype


def _signature(op: str, turn: int, place: CoveringPlace) -> Signature:
    if op not in LOSSES:
        return Signature(op, axis=place.axis)
    options = _LOSS_OPTIONS[place.position % len(_LOSS_OPTIONS)]
    if op == "nll_loss":
        options &= Uses.WEIGHT | Uses.IGNORE_INDEX
    # One row that is ignored leaves nothing to be judged.
    options &= ~Uses.IGNORE_INDEX if place.rows == 1 else ~NOTHING
    return Signature(op, REDUCTIONS[(place.position // len(OPS) + turn) % 3], options, place.axis)


def _families(op: str, place: CoveringPlace) -> list[str]:
    """One family of finite logits, and of the special values those that the op and the shape have."""
    n, k = place.rows, place.classes
    finite = ("last_class", "hot", "ordinary")[place.position % 3] if k > 1 else "single"
    special = [name for name in _SPECIAL if k in _SPECIAL_WIDTHS and FAMILIES[name].needs(n, k)]
    return [finite, *(name for name in special if op != "nll_loss" or FAMILIES[name].log_probs)]
