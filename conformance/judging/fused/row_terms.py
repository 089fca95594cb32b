"""One row of logits: its row quantities (``truth.row_quantities``), and the errors of its softmax that all bounds share
(``truth.bounds.softmax``), entry by entry."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lossproof.core.formats import FLOAT64
from lossproof.judging.fused import double_double_scalars as dd
from lossproof.judging.fused.compiler import compiled
from lossproof.judging.fused.double_double_rows import exp_row
from lossproof.judging.fused.entries import FADING, LOWEST_LOG, is_nothing, probability_error
from lossproof.truth.bounds.error_model import DIV_ULP, LOG_ULP
from lossproof.truth.bounds.softmax import EXP_CAP, FUSED
from lossproof.truth.tail import CONFIDENT

_TOP = FLOAT64.max
# Fields of a row's scalars; those of double-double have two parts.
LOG_S, SPREAD, GROWTH, FIRST, _LARGEST, OTHERS, ABSENT_TO = range(7)
_S_TWICE, _LOG_S_TWICE = 7, 9


@compiled
def scan_row(x: Any, floor: float, d: Any, p: Any, row: Any) -> None:
    """Find what a row has as a whole: the log of its normaliser, the largest magnitude of d and log p, how often the
    running maximum grows, the place of the first largest logit, that logit, and the sum of the exponentials of all
    others.

    Classes at or below ``floor`` are absent. In a row with +inf those are all others: it is the limit in which infinite
    logits are equal, as large as a number can be. ``d`` and ``p`` are worked in, a window of classes at a time: what
    ``scan_window`` takes is left there of the last.
    """
    k, width, first, growth, smallest = x.shape[0], d.shape[0], 0, 0, np.inf
    for j in range(k):
        if x[j] > x[first]:
            first = j
            growth += 1
        if floor < x[j] < smallest:
            smallest = x[j]
    if floor > -np.inf:
        growth = min(growth, 1)
    largest, others, smallest = min(x[first], _TOP), 0.0, min(smallest, _TOP)
    for start in range(0, k, width):
        part = x[start : start + width]
        _exponentials(part, floor, largest, d, p)
        for j in range(part.shape[0]):
            if start + j != first:
                others += p[j]
    log_s = math.log1p(others)
    # Both grow with the distance from the largest logit.
    farthest = max(smallest - largest, -_TOP)
    row[LOG_S], row[SPREAD] = log_s, max(-farthest, abs(max(farthest - log_s, -_TOP)))
    row[GROWTH], row[FIRST], row[_LARGEST], row[OTHERS], row[ABSENT_TO] = growth, first, largest, others, floor


@compiled
def _exponentials(x: Any, floor: float, largest: float, d: Any, p: Any) -> None:
    for j in range(x.shape[0]):
        absent = x[j] <= floor
        d[j] = 0.0 if absent else max(min(x[j], _TOP) - largest, -_TOP)
        p[j] = 0.0 if absent else math.exp(d[j])


@compiled
def scan_window(x: Any, several: bool, row: Any, d: Any, p: Any, log_p: Any) -> None:
    """Fill in d, p and log p of a window of a row, all of them 0 where a class is absent; of one of ``several`` the
    exponentials are computed anew."""
    floor = row[ABSENT_TO]
    if several:
        _exponentials(x, floor, row[_LARGEST], d, p)
    log_s, s = row[LOG_S], 1.0 + row[OTHERS]
    for j in range(x.shape[0]):
        # Where the others are nothing, most of p may be no normal numbers, whose quotients take long.
        if s != 1.0:
            p[j] /= s
        log_p[j] = 0.0 if x[j] <= floor else max(d[j] - log_s, -_TOP)


@compiled
def scan_row_twice(x: Any, p: Any, p_low: Any, log_p: Any, log_p_low: Any, block: Any, row: Any) -> None:
    """Find the normaliser of a row and its logarithm in double-double, as ``scan_row`` does.

    ``block`` is what ``exp_row`` works in.
    """
    width, first, floor, rest, rest_low = p.shape[0], int(row[FIRST]), row[ABSENT_TO], 0.0, 0.0
    for start in range(0, x.shape[0], width):
        part = x[start : start + width]
        _exponentials_twice(part, floor, row[_LARGEST], p, p_low, log_p, log_p_low, block)
        for j in range(part.shape[0]):
            if part[j] > floor and start + j != first:
                rest, rest_low = dd.add(rest, rest_low, p[j], p_low[j])
    row[_S_TWICE], row[_S_TWICE + 1] = dd.add(1.0, 0.0, rest, rest_low)
    row[_LOG_S_TWICE], row[_LOG_S_TWICE + 1] = dd.log1p_scalar(rest, rest_low)


@compiled
def _exponentials_twice(
    x: Any, floor: float, largest: float, p: Any, p_low: Any, d: Any, d_low: Any, block: Any
) -> None:
    size = x.shape[0]
    for j in range(size):
        d[j], d_low[j] = (0.0, 0.0) if x[j] <= floor else dd.two_sum(min(x[j], _TOP), -largest)
    exp_row(d[:size], d_low[:size], p, p_low, block)
    for j in range(size):
        if x[j] <= floor:
            p[j], p_low[j] = 0.0, 0.0


@compiled
def scan_window_twice(
    x: Any, several: bool, row: Any, p: Any, p_low: Any, log_p: Any, log_p_low: Any, block: Any
) -> None:
    """p and log p of a window of a row in double-double, as ``truth.oracle.formulas`` has them; 0 where a class is
    absent."""
    floor = row[ABSENT_TO]
    if several:
        _exponentials_twice(x, floor, row[_LARGEST], p, p_low, log_p, log_p_low, block)
    s, s_low, log_s, log_s_low = row[_S_TWICE], row[_S_TWICE + 1], row[_LOG_S_TWICE], row[_LOG_S_TWICE + 1]
    for j in range(x.shape[0]):
        p[j], p_low[j] = dd.divide_scalars(p[j], p_low[j], s, s_low)
    for j in range(x.shape[0]):
        if x[j] > floor:
            log_p[j], log_p_low[j] = dd.add(log_p[j], log_p_low[j], -log_s, -log_s_low)


@compiled
def weigh(M: Any, size: int, d: Any, p: Any, log_p: Any, weighted: float, fading: float) -> tuple[float, float]:
    """Add a window to what ``normaliser_error`` needs of a row under a model: the errors of p by those of d, and the
    classes whose exponentials may underflow."""
    for j in range(size):
        distance = abs(d[j])
        G = M.c_d * M.t_i * distance
        # What p that is no normal number adds is nothing beside the error of the exponential.
        if p[j] >= FADING or (G >= 1.0 and log_p[j] + G >= LOWEST_LOG):
            weighted += probability_error(p[j], log_p[j], G)
        if distance > M.edge:
            fading += 1
    return weighted, fading


@compiled
def normaliser_error(M: Any, row: Any, weighted: float, fading: float) -> float:
    """A_s, the error of a row's normaliser under a model (docs/bounds.md, section 3)."""
    A_s = math.log1p(weighted) + M.e_exp
    growth = row[GROWTH] * (M.e_exp + M.t_i) if M.online else 0.0
    if fading > 0:
        # (A1): exponentials that underflow.
        lost = fading * M.tau_i * math.exp(min(A_s, FUSED) - row[LOG_S])
        A_s -= math.log1p(-min(lost, 1.0))
    return A_s + (M.h_k * M.t_s + growth)


@compiled
def softmax_errors(
    M: Any,
    size: int,
    d: Any,
    p: Any,
    log_p: Any,
    log_s: float,
    A_s: float,
    log: bool,
    T_softmax: Any,
    T_lsm: Any,
    G0: Any,
) -> None:
    """Fill in the errors of a window under a model (docs/bounds.md, sections 3, 4 and 6): T_softmax, or of
    ``log``-softmax T_lsm and G0."""
    sum_error = A_s + M.L_o if M.narrow else A_s
    rounded = 2 * M.L_o if M.narrow else M.L_o if M.sixteen else 0.0
    # Log-probabilities, and softmax by them, are rounded at once where they are public (A12).
    public = M.L_o if M.sixteen and not M.narrow else 0.0
    again = (M.c_d - 1) * M.t_i
    log_error = M.lam * (log_s + sum_error)
    for j in range(size):
        distance, y = abs(d[j]), abs(log_p[j])
        A = M.c_d * M.t_i * distance + M.e_exp + A_s + M.quotient + rounded
        C = M.u_i * distance + sum_error + log_error
        inner = C * (1 + M.u_i) + M.u_i * y + M.tau
        if log:
            T_lsm[j] = inner + M.u_o * (y + C) if public else inner
            G0[j] = max(A, T_lsm[j] + M.e_exp + again * y + again * T_lsm[j])
        else:
            other = inner + M.e_exp + again * y + again * inner
            G = max(A, other + public)
            T_softmax[j] = M.tau
            if not is_nothing(M, p[j], log_p[j], G):
                T_softmax[j] += probability_error(p[j], log_p[j], G)


@compiled
def may_be_confident(M: Any, row: Any, reduced: bool) -> bool:
    """Say whether the other classes of a row may have so little that it is graded (docs/bounds.md, section 9): of most
    rows this says enough, without their entries."""
    log_s = row[LOG_S]
    # Twice the exponent is more than exp less 1 up to 1.
    most = _exponent(M, row[SPREAD], log_s, reduced)
    return log_s > 0 and not (most < 1.0 and log_s >= 2.0 * CONFIDENT * most)


@compiled
def some_may_be_confident(table: Any, row: Any, reduced: bool) -> bool:
    """Say whether a row may be graded under one of the models that answers are judged by."""
    found = False
    for m in range(1, table.shape[0] - 1):
        found = found or may_be_confident(table[m], row, reduced)
    return found


@compiled
def farthest_normal(M: Any, size: int, d: Any, p: Any, farthest: float) -> float:
    """The largest magnitude of d so far, of classes whose p is a normal number."""
    for j in range(size):
        if p[j] >= M.sums_min_normal:
            farthest = max(farthest, abs(d[j]))
    return farthest


@compiled
def confidence(M: Any, own: Any, farthest: float, own_farthest: float, row: Any, reduced: bool) -> float:
    """The relative error that small results of a row may have: rho of section 9 and, by ``own``, that of the judge's;
    0 unless it is graded."""
    rho = 0.0
    if may_be_confident(M, row, reduced):
        rho = _relative_error(M, farthest, row[LOG_S], reduced)
    return rho + _relative_error(own, own_farthest, row[LOG_S], reduced) if row[LOG_S] < CONFIDENT * rho else 0.0


@compiled
def _relative_error(M: Any, farthest: float, log_s: float, reduced: bool) -> float:
    return math.expm1(min(_exponent(M, farthest, log_s, reduced), EXP_CAP))


@compiled
def _exponent(M: Any, farthest: float, log_s: float, reduced: bool) -> float:
    """The log of 1 + rho of a row in which terms of the sum are so far from the first one."""
    rounded = (3 if M.narrow else 1) * M.L_o if M.sixteen else 0.0
    log = 2 * LOG_ULP * M.u_s
    of_p = 2 * (M.c_d * M.t_i * farthest + M.e_exp) + M.h_k * M.t_s + DIV_ULP * M.t_i + log * log_s + rounded
    rest = (M.h_k + 8) * M.t_i + log + 4 * rounded
    if reduced:
        rest += (2 * M.h_n + DIV_ULP + 1) * M.t_s
    return 2 * of_p + rest
