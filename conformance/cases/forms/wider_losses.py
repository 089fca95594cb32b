"""Wider losses: the loss of 16-bit logits in float32, as training computes it, and of float32 logits in float64.

The logits convert exactly, so truth and bound of the value are those of the wide format. Weights, probabilities and the
cotangent are of the wide format, and have more bits than the logits' holds; the gradient is rounded once more, to the
logits' (docs/bounds.md, section 6).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from lossproof.adapters.protocol import Problem
from lossproof.cases.call_maker import make_call
from lossproof.cases.deck_part import DeckPart
from lossproof.cases.families import FAMILIES
from lossproof.cases.picker import Picker
from lossproof.cases.signature import NOTHING, Signature, Uses
from lossproof.cases.wider_outputs import WIDER
from lossproof.core.call import Call
from lossproof.core.formats import F64, FORMATS, Format

# Signature and shape; the first two go to targets that compile cheaply as well.
_PLACES: tuple[tuple[Signature, tuple[int, ...]], ...] = (
    (Signature("cross_entropy", "mean", NOTHING, 1), (2, 4)),
    (Signature("cross_entropy", "mean", Uses.PROBABILITIES | Uses.WEIGHT, 1), (2, 4)),
    (Signature("cross_entropy", "none", Uses.SMOOTHING | Uses.WEIGHT | Uses.IGNORE_INDEX, 1), (3, 5)),
    (Signature("cross_entropy", "none", Uses.PROBABILITIES, 0), (5, 3)),
    (Signature("cross_entropy", "sum", Uses.IGNORE_INDEX, 1), (2, 5, 3)),
    (Signature("nll_loss", "mean", Uses.WEIGHT, 1), (3, 5)),
    (Signature("nll_loss", "none", NOTHING, 1), (3, 5)),
)
_NAMES = ("ordinary", "confident", "spread", "offset", "masked", "nan_row")
# The narrow result of so many equal logits is off by more than anything in 32 bits.
_EQUAL = (2, 100)


def wider_loss_calls(dtype: str, part: DeckPart) -> Iterator[Call]:
    """Draw the calls of one input dtype: each signature with two families by turns, and rows of equal logits."""
    wide = WIDER.get(dtype)
    if wide is None:
        return
    turn = list(FORMATS).index(dtype)
    for i, (signature, shape) in enumerate(_PLACES):
        k = shape[signature.axis]
        suitable = [FAMILIES[name] for name in _NAMES if signature.op != "nll_loss" or FAMILIES[name].log_probs]
        for f in (suitable[(i + turn) % len(suitable)], suitable[(i + turn + 2) % len(suitable)]):
            if not f.needs(math.prod(shape) // k, k) or not part.keeps(
                signature.op, f.name, dtype, shape, signature.axis
            ):
                continue
            pick = part.picker("wider loss", f.name, shape, signature.key)
            tier = "full" if i < 2 and FORMATS[dtype].is_narrow else "free"
            call = make_call(pick, f, signature, shape=shape, fmt=FORMATS[dtype], provenance=part.provenance, tier=tier)
            yield call.with_problem(_widened(pick, call.problem, FORMATS[wide]))
    if part.keeps("cross_entropy", "equal", dtype, _EQUAL):
        pick = part.picker("wider loss", "equal")
        equal = Problem("cross_entropy", dtype, np.zeros(_EQUAL), np.array([7, 99]), cotangent=np.ones(2))
        equal = replace(equal, reduction="none", out_dtype=wide)
        yield Call(equal, "equal", part.provenance, tier="free")


def _widened(pick: Picker, p: Problem, wide: Format) -> Problem:
    """The problem with a value in a wide format, and more bits in what has that format."""
    # sanity check: the call maker gives every call a cotangent
    assert p.cotangent is not None
    q = _probabilities(pick, p, wide) if p.has_probability_target else p.target
    weight = None if p.weight is None else _longer(pick, p.weight, wide)
    return replace(p, out_dtype=wide.name, target=q, weight=weight, cotangent=_longer(pick, p.cotangent, wide))


def _longer(pick: Picker, a: F64, wide: Format) -> F64:
    """Numbers with further bits behind those that they have; 0 stays."""
    return wide.round(a * (1 + pick.bits(16, a.shape) * 2.0**-26))


def _probabilities(pick: Picker, p: Problem, wide: Format) -> F64:
    """Rows that sum to 1 as far as the wide format goes."""
    parts = 1 + pick.bits(16, p.x.shape)
    return wide.round(parts / parts.sum(axis=p.axis, keepdims=True))
