"""Wider outputs: softmax and log-softmax with an output dtype wider than the input's, where one is on offer.

The input converts exactly, so truth and bound of the value are those of the wide format; the cotangent is of the wide
format, too, and the gradient is rounded once more, to the input's (docs/bounds.md, section 6).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from lossproof.cases.call_maker import direction, make_call
from lossproof.cases.deck_part import DeckPart
from lossproof.cases.families import FAMILIES
from lossproof.cases.signature import Signature
from lossproof.core.call import Call
from lossproof.core.formats import FORMATS

# For each format the one that its sums are kept in, or the next wider one, if there is one.
WIDER = {
    f.name: min(wider, key=lambda g: g.bits).name
    for f in FORMATS.values()
    if (wider := [f.accumulator] if f.accumulator else [g for g in FORMATS.values() if g.bits > f.bits])
}
# Shapes with the class axis last and not last: kernels for the two differ, and so have their conversions.
SHAPES: tuple[tuple[tuple[int, ...], int], ...] = (((2, 4), 1), ((4, 17), 0), ((2, 5, 3), 1), ((3, 100), 1))
_COMPILED_IN = next(f.name for f in FORMATS.values() if f.is_narrow)
# Values that a narrow evaluation cannot have; cancelling gradients; special values.
_NAMES = ("ordinary", "confident", "spread", "offset", "masked", "nan_row", "positive_infinity", "stagnation")


def wider_output_calls(dtype: str, part: DeckPart) -> Iterator[Call]:
    """Draw the calls of one input dtype: every shape and op with three families each, in turn."""
    wide = WIDER.get(dtype)
    if wide is None:
        return
    turn = list(FORMATS).index(dtype)
    for i, (shape, axis) in enumerate(SHAPES):
        for op in ("softmax", "log_softmax"):
            signature = Signature(op, axis=axis)
            k = shape[axis]
            for j in range(3):
                f = FAMILIES[_NAMES[(2 * i + 2 * turn + j + (op == "softmax")) % len(_NAMES)]]
                if not f.needs(math.prod(shape) // k, k) or not part.keeps(op, f.name, dtype, shape, axis):
                    continue
                pick = part.picker("widened", f.name, shape, signature.key)
                # One shape and dtype for targets that compile, too.
                core = i == 0 and dtype == _COMPILED_IN
                tier = "free" if not core else "core" if op == "softmax" else "full"
                call = make_call(
                    pick, f, signature, shape=shape, fmt=FORMATS[dtype], provenance=part.provenance, tier=tier
                )
                # More bits than the narrow format has: a cotangent that is narrowed first shows.
                v = direction(pick, FORMATS[wide], shape)
                cotangent = FORMATS[wide].round(v + np.where(v == 0, 0.0, pick.bits(32, shape) * 2.0**-46))
                yield call.with_problem(replace(call.problem, out_dtype=wide, cotangent=cotangent))
