"""Sentinels are the labels that are ignored: every kind of one with every reduction, with and without weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lossproof.adapters.protocol import DTYPES, LOSSES, REDUCTIONS, Problem
from lossproof.cases.call_maker import direction
from lossproof.cases.deck_part import DeckPart
from lossproof.cases.picker import bell
from lossproof.core.call import Call
from lossproof.core.formats import FORMATS

SENTINEL_CLASSES = 3
_SIDES = np.iinfo(np.int64)
# What frameworks ignore by default, labels that are classes, the first that is none, and what loses bits.
SENTINELS = (
    -100,
    -1,
    0,
    SENTINEL_CLASSES - 1,
    SENTINEL_CLASSES,
    255,
    -(2**31) - 1,
    2**32,
    int(_SIDES.min),
    int(_SIDES.max),
)
_FAMILY = "ordinary"
_SHAPE = (4, SENTINEL_CLASSES)
# Of the twelve signatures those for targets that compile dearly: every reduction with and without weights.
_CORE = (0, 3, 4, 7, 8, 11)


def sentinel_calls(dtype: str, part: DeckPart) -> Iterator[Call]:
    """Draw the calls of a dtype: rows with the sentinel first and between kept ones, after one of them class 0.

    Each signature goes to targets that compile in one dtype, by turns: its program serves all sentinels.
    """
    fmt, weights = FORMATS[dtype], np.array([1.0, 0.5, 2.0])
    signatures = [(op, reduction, weighted) for op in LOSSES for reduction in REDUCTIONS for weighted in (False, True)]
    for i, (op, reduction, weighted) in enumerate(signatures):
        mine = DTYPES[(i + i // len(DTYPES)) % len(DTYPES)] == dtype
        tier = "free" if not mine else "core" if i in _CORE else "full"
        for sentinel in SENTINELS:
            if not part.keeps(op, _FAMILY, dtype, _SHAPE):
                continue
            kept = [label for label in range(SENTINEL_CLASSES) if label != sentinel]
            pick = part.picker("sentinel", op, reduction, weighted, sentinel)
            x = fmt.round(bell(pick, _SHAPE))
            problem = Problem(
                op,
                dtype,
                -np.abs(x) if op == "nll_loss" else x,
                np.array([sentinel, kept[0], sentinel, kept[-1]], dtype=np.int64),
                weights if weighted else None,
                direction(pick, fmt, (4,)) if reduction == "none" else np.ones(()),
                reduction=reduction,
                ignore_index=sentinel,
            )
            yield Call(problem, _FAMILY, f"{part.provenance}, sentinel {sentinel}", tier=tier)
