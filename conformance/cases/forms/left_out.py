"""Arguments left out: calls in which every option has its default, as most calls in programs are written.

The class axis is the last, the reduction the mean, nothing is ignored or smoothed: a function that is told so and one
that is told nothing must agree.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lossproof.adapters.protocol import LOSSES, OPS, Problem
from lossproof.cases.deck_part import DeckPart
from lossproof.cases.picker import bell
from lossproof.core.call import Call
from lossproof.core.formats import FORMATS

_FAMILY = "ordinary"
# A row alone; as many rows as classes, where a wrong axis is one as well; more axes for what has no labels.
_SHAPES: tuple[tuple[int, ...], ...] = ((2,), (3, 3), (2, 4), (2, 3, 4))


def left_out_calls(dtype: str, part: DeckPart) -> Iterator[Call]:
    """Draw the calls of a dtype: each op in each shape that it has with the class axis last."""
    fmt = FORMATS[dtype]
    for op in OPS:
        for shape in _SHAPES[: 3 if op in LOSSES else 4]:
            if not part.keeps(op, _FAMILY, dtype, shape):
                continue
            pick = part.picker("left out", op, shape)
            x = fmt.round(bell(pick, shape) * 2)
            # Different numbers in each class and row, whatever was drawn.
            x = fmt.round(x + np.arange(x.size).reshape(shape) / 4)
            if op not in LOSSES:
                p = Problem(op, dtype, x, cotangent=x[..., ::-1].copy(), omit=True)
                yield Call(p, _FAMILY, part.provenance, tier="free")
                continue
            labels = np.asarray(pick.bits(1, shape[:-1]))
            x = -np.abs(x) if op == "nll_loss" else x
            p = Problem(op, dtype, x, labels, cotangent=np.ones(()), omit=True)
            yield Call(p, _FAMILY, part.provenance, tier="free")
            if len(shape) > 1:
                # Class 0 and another, whatever was drawn.
                p = Problem(op, dtype, x, np.arange(shape[0]) % 2, cotangent=np.ones(()), omit=True)
                yield Call(p, _FAMILY, part.provenance, tier="free")
