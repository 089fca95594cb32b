"""One row without a batch, ``(K,)``: N = 1 (specification, section 2), with one class and with several."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from lossproof.adapters.protocol import LOSSES, OPS, REDUCTIONS, Problem
from lossproof.cases.deck_part import DeckPart
from lossproof.cases.signatures import WHOLE_IN
from lossproof.core.call import Call

_X = np.array([0.5, -1.0, 2.0, 0.25, -0.75])
_LABEL, _IGNORED = 3, -100
_WEIGHT = np.array([0.5, 2.0, 1.0, 4.0, 3.0])
_PROBABILITIES = np.array([0.5, 0.0, 0.25, 0.25, 0.0])
# Softmax's cotangent, and that of losses.
_COTANGENT, _UPSTREAM = np.array([1.0, -0.5, 2.0, 0.375, -3.0]), np.array(-0.5)
# How many of an op's first problems the smoke deck has: plain, the row ignored, with probabilities.
_TELLING = {"softmax": 1, "log_softmax": 1, "nll_loss": 2, "cross_entropy": 3}


def unbatched_calls(dtype: str, part: DeckPart, *, smoke: bool = False) -> Iterator[Call]:
    """Make the calls of a dtype: every op, reduction and kind of target, one class and five; a few for smoke."""
    for family, x in (("ordinary", _X), ("single", _X[:1])):
        for op in OPS:
            for i, problem in enumerate(_problems(op, dtype, x)):
                telling = i < _TELLING[op]
                tier = "full" if telling and dtype == WHOLE_IN else "free"
                if (telling or not smoke) and part.has(problem, family):
                    yield Call(problem, family, "one row without a batch", tier=tier)


def _problems(op: str, dtype: str, x: np.ndarray) -> Iterator[Problem]:
    """The mean first, each reduction with every target and option."""
    k = len(x)
    if op not in LOSSES:
        yield Problem(op, dtype, x, cotangent=_COTANGENT[:k])
        return
    labelled = Problem(op, dtype, -np.abs(x) if op == "nll_loss" else x, np.array(min(_LABEL, k - 1)))
    for reduction in reversed(REDUCTIONS):
        plain = replace(labelled, reduction=reduction, cotangent=_UPSTREAM)
        yield plain
        yield replace(plain, target=np.array(_IGNORED), ignore_index=_IGNORED)
        if op == "cross_entropy":
            q = replace(plain, target=_PROBABILITIES[:k] if k > 1 else np.ones(1))
            yield q
            yield replace(q, weight=_WEIGHT[:k], label_smoothing=0.1)
            yield replace(plain, weight=_WEIGHT[:k], label_smoothing=0.1)
        yield replace(plain, weight=_WEIGHT[:k], ignore_index=_IGNORED)
