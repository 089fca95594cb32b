"""Rows of which section 4 of the specification speaks: what they are, and what is required of them and accepted
besides, as ``truth.special_values`` has it."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossproof.core.formats import FLOAT64
from lossproof.judging.fused.compiler import compiled
from lossproof.judging.fused.entries import SHOWN_4, SHOWN_6, SHOWN_7
from lossproof.truth.expected import NAN, OVERFLOW
from lossproof.truth.row_quantities import ALL_NEG, HAS_NAN, MANY_POS, MASKED, ONE_POS

_TOP = FLOAT64.max
# Bits of what a row's loss meets: absent classes with a positive part, a negative one and one of 0, and a class with a
# part that is infinite beside others.
_POSITIVE, _NEGATIVE, _NOTHING, _UNDEFINED = 1, 2, 4, 8


@compiled
def row_kind(x: Any) -> int:
    """The kind of a row, as ``truth.row_quantities`` numbers them; a row without infinities is masked here."""
    infinite, some = 0, False
    for j in range(x.shape[0]):
        if x[j] < np.inf:
            some = some or x[j] > -np.inf
        elif x[j] == np.inf:
            infinite += 1
        else:
            return HAS_NAN
    if infinite > 0:
        return ONE_POS if infinite == 1 else MANY_POS
    return MASKED if some else ALL_NEG


@compiled
def is_dominated(kind: int) -> bool:
    """Say whether a row has +inf, and no NaN."""
    return ONE_POS <= kind <= MANY_POS


@compiled
def is_undefined(kind: int) -> bool:
    """Say whether nothing of a row is a number: it has NaN, or nothing but -inf (clauses 1 and 3)."""
    return kind in (HAS_NAN, ALL_NEG)


@compiled
def floor_of(kind: int) -> float:
    """The logit at or below which a class has no part in its row: -inf, in a row with +inf every finite number."""
    return _TOP if is_dominated(kind) else -np.inf


@compiled
def accepted_in(kind: int, beyond: bool) -> int:
    """The outcomes accepted besides the limit in a row of a kind, in which something overflows if it is ``beyond``
    (clauses 4 and 7)."""
    return (NAN if is_dominated(kind) else 0) | (OVERFLOW if beyond else 0)


@compiled
def clause_of(kind: int, accept: int) -> int:
    """The field for what is shown of the clause that accepts this in a row of this kind, 0 if nothing is accepted."""
    if accept == 0:
        return 0
    if accept & OVERFLOW == OVERFLOW:
        return SHOWN_7
    return SHOWN_4 if kind >= ONE_POS else SHOWN_6


@compiled
def part_of_absent(c: float) -> int:
    """The bit for an absent class with the coefficient ``c`` (clauses 5 and 6)."""
    return _POSITIVE if c > 0 else _NEGATIVE if c < 0 else _NOTHING


@compiled
def part_of_infinite(size: int, x: Any, c: Any) -> int:
    """The bit for a class of a window with a logit of +inf and a part in the loss, 0 without one (clause 4)."""
    for j in range(size):
        if x[j] == np.inf and c[j] != 0:
            return _UNDEFINED
    return 0


@compiled
def farthest_used(size: int, c: Any, d: Any, log_p: Any, farthest: float) -> float:
    """The largest magnitude of d and log p so far, of classes that have a part in the loss."""
    for j in range(size):
        if c[j] != 0:
            farthest = max(farthest, abs(d[j]), abs(log_p[j]))
    return farthest


@compiled
def limit_of_loss(met: int) -> float:
    """The loss of a row where a clause requires one that is no number, else 0: clauses 4 and 5."""
    if met & _UNDEFINED or (met & _POSITIVE and met & _NEGATIVE):
        return np.nan
    return np.inf if met & _POSITIVE else -np.inf if met & _NEGATIVE else 0.0


@compiled
def accepted_of_loss(kind: int, met: int, beyond: bool) -> int:
    """The outcomes accepted besides the loss of a row (clauses 4, 6 and 7)."""
    also = is_dominated(kind) or met & _NOTHING
    return (NAN if also and not met & _UNDEFINED else 0) | (OVERFLOW if beyond else 0)
