"""Every combination of a loss's options in the form that most kernels take: a few rows, the classes last.

What takes one reduction or one option alone is asked something telling in each deck, too: labels of the first and of
the last class, an ignored row, and rows whose maximum must be subtracted.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lossproof.adapters.protocol import Problem
from lossproof.cases.deck_part import DeckPart
from lossproof.cases.signature import NOTHING, Signature, Uses
from lossproof.cases.signatures import WHOLE_IN, combinations
from lossproof.core.call import Call

# What its calls say of where they came from.
EVERY_OPTION = "every combination of options"
# Exact in every format.
_ORDINARY = np.array([[0.5, -1.0, 2.0, 0.25, -0.75], [1.5, 0.0, -0.75, 1.0, 2.5], [0.25, 1.0, -2.0, 0.5, -0.5]])
_OFFSET = np.array([[1000.0, 996.0, 1008.0, 992.0, 1004.0], [-1000, -1008, -996, -1004, -992], _ORDINARY[0]])
_LABELS, _IGNORED = np.array([4, 2, 0]), -100
_WEIGHT = np.array([0.5, 2.0, 1.0, 4.0, 3.0])
_PROBABILITIES = np.array([[0.5, 0.0, 0.25, 0.25, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0], [0.25, 0.125, 0.125, 0.25, 0.25]])
_OF_ROWS, _OF_SCALARS = np.array([1.0, -0.5, 2.0]), np.array(-0.5)
# Other dtypes than the one that has all of them have these.
_ELSEWHERE = (NOTHING, Uses.IGNORE_INDEX)


def every_option_calls(dtype: str, part: DeckPart) -> Iterator[Call]:
    """Make the calls of a dtype: one of ordinary logits for each combination, and one of rows far apart for those of
    cross-entropy."""
    for s in combinations():
        if dtype != WHOLE_IN and s.uses not in _ELSEWHERE:
            continue
        for family, x in (("ordinary", _ORDINARY), ("offset", _OFFSET)):
            if family == "ordinary" or s.op != "nll_loss":
                problem = _problem(s, dtype, x)
                if part.has(problem, family):
                    yield Call(problem, family, EVERY_OPTION, tier="free")


def _problem(s: Signature, dtype: str, x: np.ndarray) -> Problem:
    ignores = Uses.IGNORE_INDEX in s.uses
    labels = np.where([False, True, False], _IGNORED, _LABELS) if ignores else _LABELS
    return Problem(
        s.op,
        dtype,
        -np.abs(x) if s.op == "nll_loss" else x,
        _PROBABILITIES if s.has_probability_target else labels,
        weight=_WEIGHT if Uses.WEIGHT in s.uses else None,
        cotangent=_OF_ROWS if s.reduction == "none" else _OF_SCALARS,
        reduction=s.reduction,
        ignore_index=_IGNORED if ignores else None,
        label_smoothing=0.1 if Uses.SMOOTHING in s.uses else 0.0,
    )
