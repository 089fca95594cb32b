"""One row of logits: its row quantities (``truth.row_quantities``), and the errors of its softmax that all bounds share
(``truth.bounds.softmax``), entry by entry."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lossproof.judging.fused import double_double_scalars as dd
from lossproof.judging.fused.compiler import compiled
from lossproof.judging.fused.double_double_rows import exp_row
from lossproof.judging.fused.entries import LOWEST_LOG, is_nothing, probability_error
from lossproof.truth.bounds.error_model import DIV_ULP, LOG_ULP
from lossproof.truth.bounds.softmax import EXP_CAP, FUSED
from lossproof.truth.tail import CONFIDENT

_FADING = float(np.finfo(np.float64).smallest_normal)
_TOP = float(np.finfo(np.float64).max)
# Fields of a row's scalars.
LOG_S, SPREAD, GROWTH, FIRST = range(4)


@compiled
def analyse_row(x: Any, d: Any, p: Any, log_p: Any, row: Any) -> None:
    """Fill in d, p and log p of a row of logits that are finite or -inf, all of them 0 for the latter; the log of its
    normaliser, the largest magnitude of d and log p, how often the running maximum grows, and the place of the first
    largest logit."""
    k, first, growth = x.shape[0], 0, 0
    for j in range(1, k):
        if x[j] > x[first]:
            first = j
            growth += 1
    largest, others = x[first], 0.0
    for j in range(k):
        absent = x[j] == -np.inf
        d[j] = 0.0 if absent else max(x[j] - largest, -_TOP)
        p[j] = 0.0 if absent else math.exp(d[j])
        if j != first:
            others += p[j]
    log_s = math.log1p(others)
    spread = 0.0
    total = 1.0 + others
    for j in range(k):
        # Where the others are nothing, most of p may be no normal numbers, whose quotients take long.
        if total != 1.0:
            p[j] /= total
        log_p[j] = 0.0 if x[j] == -np.inf else max(d[j] - log_s, -_TOP)
        spread = max(spread, -d[j], abs(log_p[j]))
    row[LOG_S], row[SPREAD], row[GROWTH], row[FIRST] = log_s, spread, growth, first


@compiled
def analyse_row_twice(x: Any, first: int, p: Any, p_low: Any, log_p: Any, log_p_low: Any, block: Any) -> None:
    """p and log p of a row in double-double, as ``truth.oracle.formulas`` has them; 0 where the logit is -inf.

    ``block`` is what ``exp_row`` works in.
    """
    k, largest = x.shape[0], x[first]
    for j in range(k):
        log_p[j], log_p_low[j] = (0.0, 0.0) if x[j] == -np.inf else dd.two_sum(x[j], -largest)
    exp_row(log_p, log_p_low, p, p_low, block)
    rest, rest_low = 0.0, 0.0
    for j in range(k):
        if x[j] == -np.inf:
            p[j], p_low[j] = 0.0, 0.0
        elif j != first:
            rest, rest_low = dd.add(rest, rest_low, p[j], p_low[j])
    s, s_low = dd.add(1.0, 0.0, rest, rest_low)
    log_s, log_s_low = dd.log1p_scalar(rest, rest_low)
    for j in range(k):
        p[j], p_low[j] = dd.divide_scalars(p[j], p_low[j], s, s_low)
    for j in range(k):
        if x[j] != -np.inf:
            log_p[j], log_p_low[j] = dd.add(log_p[j], log_p_low[j], -log_s, -log_s_low)


@compiled
def softmax_errors(
    M: Any, d: Any, p: Any, log_p: Any, row: Any, log: bool, T_softmax: Any, T_lsm: Any, G0: Any
) -> None:
    """Fill in the errors of a row under a model (docs/bounds.md, sections 3, 4 and 6): T_softmax, or of ``log``-softmax
    T_lsm and G0."""
    k, log_s = p.shape[0], row[LOG_S]
    fading, weighted = 0, 0.0
    for j in range(k):
        size = abs(d[j])
        G = M.c_d * M.t_i * size
        # What p that is no normal number adds is nothing beside the error of the exponential.
        if p[j] >= _FADING or (G >= 1.0 and log_p[j] + G >= LOWEST_LOG):
            weighted += probability_error(p[j], log_p[j], G)
        if size > M.edge:
            fading += 1
    A_s = math.log1p(weighted) + M.e_exp
    growth = row[GROWTH] * (M.e_exp + M.t_i) if M.online else 0.0
    if fading > 0:
        # (A1): exponentials that underflow.
        lost = fading * M.tau_i * math.exp(min(A_s, FUSED) - log_s)
        A_s -= math.log1p(-min(lost, 1.0))
    A_s += M.h_k * M.t_s + growth
    sum_error = A_s + M.L_o if M.narrow else A_s
    rounded = 2 * M.L_o if M.narrow else M.L_o if M.sixteen else 0.0
    # Log-probabilities, and softmax by them, are rounded at once where they are public (A12).
    public = M.L_o if M.sixteen and not M.narrow else 0.0
    again = (M.c_d - 1) * M.t_i
    log_error = M.lam * (log_s + sum_error)
    for j in range(k):
        size, y = abs(d[j]), abs(log_p[j])
        A = M.c_d * M.t_i * size + M.e_exp + A_s + M.quotient + rounded
        C = M.u_i * size + sum_error + log_error
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
def confidence(M: Any, d: Any, p: Any, row: Any, reduced: bool) -> float:
    """rho of docs/bounds.md, section 9, of a row whose other classes have so little that it is graded, else 0."""
    log_s = row[LOG_S]
    # Twice the exponent is more than exp less 1 up to 1. Of most rows this says enough, without their entries.
    most = _exponent(M, row[SPREAD], log_s, reduced)
    if not log_s > 0 or (most < 1.0 and log_s >= 2.0 * CONFIDENT * most):
        return 0.0
    rho = relative_error(M, d, p, log_s, reduced)
    return rho if log_s < CONFIDENT * rho else 0.0


@compiled
def relative_error(M: Any, d: Any, p: Any, log_s: float, reduced: bool) -> float:
    """rho of docs/bounds.md, section 9: the relative error of small results that an accurate implementation keeps."""
    farthest = 0.0
    for j in range(p.shape[0]):
        if p[j] >= M.sums_min_normal:
            farthest = max(farthest, abs(d[j]))
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
