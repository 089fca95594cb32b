"""One entry of the compiled passes: a term of the bounds, a comparison with an enclosure, and the worst so far."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lossproof.core.formats import FLOAT64
from lossproof.judging.fused.compiler import compiled
from lossproof.truth.bounds.softmax import EXP_CAP
from lossproof.truth.expected import NAN, NINF, PINF, ZERO
from lossproof.truth.tail import BITS

# Fields of a summary: one entry that decides, and what is said of all of them; then of the entry that is farthest off
# in ULP; the last ones are what answers show where the specification leaves a choice, as bits.
OK, UNDECIDED, SHARE, ULP, WORST, RANK, MID, LOW, RAD, ALLOWED = range(10)
GRADED, ACCURATE, WORST_ERROR, ULP_ERROR, SPACING = range(10, 15)
# Two gradients (section 3), then clauses of section 4, in the order of their numbers.
SHOWN_3, SHOWN_4, SHOWN_6, SHOWN_7, SHOWN_11 = range(15, 20)
SUMMARY_FIELDS = 20
# Bits of what is shown beside ``truth.expected``'s NAN, PINF, NINF and ZERO, and of the two gradients.
AT_LIMIT, FIRST_FORMULA, SECOND_FORMULA = 16, 1, 2
# A summary of no entries: all of them are right.
EMPTY = np.zeros(SUMMARY_FIELDS)
EMPTY[[OK, ACCURATE]], EMPTY[[RANK, WORST_ERROR]] = 1.0, -1.0
# What the passes work in: rows of K zeros, for softmax and for losses, and some rows that are no longer than a block.
SOFTMAX_ROWS, LOSS_ROWS, BLOCK_SHAPE = 17, 24, (15, 256)
_SMALL = 2.0**-6
# A probability that is no normal number has lost digits, which its logarithm still has.
FADING = FLOAT64.min_normal
# The exponential of this and less is nothing beside 2^-700, and takes long where it is no normal number.
LOWEST_LOG = -650.0
# The bits of a float64's exponent.
_EXPONENT = 0x7FF0000000000000
# Failing entries rank before all others, as in ``judge.judge_stack``.
_FAILING = 1e6


@compiled
def expm1_scalar(a: float) -> float:
    """exp(a) - 1 of a number that is at least 0: for small ones the series, whose rest is below a rounding."""
    if a < _SMALL:
        return a * (1.0 + a * (1 / 2 + a * (1 / 6 + a * (1 / 24 + a * (1 / 120 + a * (1 / 720 + a / 5040))))))
    return math.expm1(a)


@compiled
def probability_error(p: float, log_p: float, G: float) -> float:
    """``p (exp(G) - 1)`` without overflow, also where p has underflowed (docs/bounds.md, section 3).

    An absent class has p = 0 and log p = 0, which no other has.
    """
    if p == 0 and log_p == 0:
        return 0.0
    if G < 1.0:
        return p * expm1_scalar(G)
    return max(math.exp(min(log_p + G, EXP_CAP)) - p, 0.0)


@compiled
def is_nothing(M: Any, p: float, log_p: float, G: float) -> bool:
    """Say whether ``p exp(G)`` is nothing beside the underflow of a model, whatever below 2^180 it is multiplied by."""
    return p < M.least and (G < 1.0 or log_p + G < LOWEST_LOG)


@compiled
def largest_probability(p: float, log_p: float, G: float, error: float) -> float:
    """``p exp(G)``, the largest computed probability, where ``error`` is ``p (exp(G) - 1)``: 0 for an absent class."""
    if p > FADING:
        return p + error
    return 0.0 if p == 0 and log_p == 0 else math.exp(min(log_p + G, EXP_CAP))


@compiled
def rounded_up(M: Any, bound: float) -> float:
    """A bound as it is used: infinite where it is not a number, and above its own roundings (section 8)."""
    return np.inf if bound != bound else bound * M.round_up


@compiled
def compare_entry(
    summary: Any,
    index: int,
    got: float,
    mid: float,
    low: float,
    rad: float,
    allowed: float,
    fmt: Any,
    other: float = np.inf,
) -> None:
    """Judge one finite entry as ``judge.judge_stack`` does, and take it into the summary.

    ``fmt`` has the format's largest number, its roundoff and its smallest spacing. ``other`` is the distance from a
    second result that is accepted.
    """
    largest, u, smallest = fmt[0], fmt[1], fmt[2]
    error = abs((got - mid) - low)
    if other < error:
        error = other
    inside = error + rad <= allowed
    ok = inside
    if not inside:
        beyond = (abs(mid) - largest) + allowed >= largest * u
        ok = math.isinf(got) and (got > 0) == (mid > 0) and mid != 0 and beyond
        if not ok:
            summary[OK] = 0.0
            if error - rad <= allowed:
                summary[UNDECIDED] = 1.0
    if math.isfinite(got):
        # The power of two at or below |mid|, without a call.
        power = np.int64(np.float64(mid).view(np.int64) & _EXPONENT).view(np.float64)
        spacing = max(power * (2.0 * u), smallest)
        # Errors that are no normal numbers take long to multiply and to divide, and are compared at once.
        if not (error <= summary[ULP_ERROR] and spacing >= summary[SPACING]) and error > summary[ULP] * spacing:
            summary[ULP] = error / spacing
            summary[ULP_ERROR], summary[SPACING] = error, spacing
    elif not ok:
        summary[ULP] = np.inf
    if inside and error <= summary[WORST_ERROR] and allowed >= summary[ALLOWED]:
        return
    if ok and (not inside or math.isinf(allowed)):
        share = 0.0
    elif allowed > 0:
        share = error / allowed
        if share != share:
            share = np.inf
    else:
        share = 0.0 if error == 0 else np.inf
    rank = share if ok else max(share, 1.0) + _FAILING
    if rank > summary[RANK]:
        summary[SHARE], summary[WORST], summary[RANK] = share, index, rank
        # What is not within its bound is no measure for what is.
        summary[WORST_ERROR] = error if inside else -1.0
        summary[MID], summary[LOW], summary[RAD], summary[ALLOWED] = mid, low, rad, allowed


@compiled
def compare_either(
    summary: Any,
    start: int,
    j: int,
    got: float,
    mid: Any,
    low: Any,
    second: Any,
    second_low: Any,
    rad: Any,
    allowed: float,
    fmt: Any,
) -> None:
    """Judge entry j of a window as ``compare_entry`` does, against the nearer one of two results that are accepted.

    Where an answer says which of them it is, that is noted.
    """
    other = abs((got - second[j]) - second_low[j])
    compare_entry(summary, start + j, got, mid[j], low[j], rad[j], allowed, fmt, other)
    note_formula(summary, got, mid[j], second[j], allowed)


@compiled
def note_formula(summary: Any, got: float, first: float, second: float, allowed: float) -> None:
    """Note which of two accepted gradients an entry is, where they can be told apart (``judge.conventions``)."""
    if abs(first - second) > 4 * allowed and math.isfinite(got):
        nearer = abs(got - first) <= abs(got - second)
        _note(summary, SHOWN_3, FIRST_FORMULA if nearer else SECOND_FORMULA)


@compiled
def _note(summary: Any, field: int, bit: int) -> None:
    summary[field] = np.int64(summary[field]) | bit


@compiled
def compare_infinite(summary: Any, index: int, got: float, mid: float) -> None:
    """Judge one entry that must be an infinity, or NaN, and take it into the summary."""
    rank = 0.0
    if got != mid and not (got != got and mid != mid):
        summary[OK], summary[ULP], rank = 0.0, np.inf, np.inf
    if rank > summary[RANK]:
        summary[SHARE], summary[WORST], summary[RANK] = rank, index, rank
        summary[MID], summary[LOW], summary[RAD], summary[ALLOWED] = mid, 0.0, 0.0, 0.0


@compiled
def compare_special(
    summary: Any,
    index: int,
    got: float,
    mid: float,
    low: float,
    rad: float,
    allowed: float,
    fmt: Any,
    accept: int,
    clause: int,
    other: float = np.inf,
) -> None:
    """Judge one entry of which a clause speaks, and take it into the summary.

    ``mid`` may be NaN or infinite, and is required then. What is accepted besides are bits of ``truth.expected``;
    ``clause`` is the field of the clause that accepts it, for what is shown, or 0.
    """
    missing, infinite = got != got, math.isinf(got)
    bit = NAN if missing else PINF if got > 0 else NINF
    if (missing or infinite) and accept & bit != 0:
        if summary[RANK] < 0.0:
            summary[SHARE], summary[WORST], summary[RANK] = 0.0, index, 0.0
            summary[MID], summary[LOW], summary[RAD], summary[ALLOWED] = mid, low, rad, allowed
    elif not math.isfinite(mid):
        compare_infinite(summary, index, got, mid)
    else:
        compare_entry(summary, index, got, mid, low, rad, allowed, fmt, other)
    if clause == 0:
        return
    if not missing and (not infinite or got == mid):
        bit = ZERO if mid != mid else AT_LIMIT
    _note(summary, clause, bit)


@compiled
def grade(summary: Any, M: Any, got: float, exact: float, limit: float, allowed: float) -> None:
    """Grade one result of a confident row, if it is so small that the bound does not say whether it keeps its relative
    accuracy (``truth.tail``)."""
    size = abs(exact)
    if max(M.min_normal, M.tau / M.u_o) <= size <= allowed and limit <= BITS * size:
        summary[GRADED] = 1.0
        if not abs(got - exact) <= limit:
            summary[ACCURATE] = 0.0
