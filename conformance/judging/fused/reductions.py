"""Sums and means of rows' losses: their errors, and their comparison with what is answered."""

from __future__ import annotations

import math
from typing import Any

from lossproof.judging.fused.comparisons import compare_loss
from lossproof.judging.fused.compiler import compiled
from lossproof.judging.fused.cross_entropy_rows import HARD, MEAN, SUM
from lossproof.judging.fused.entries import grade, rounded_up
from lossproof.truth.bounds.error_model import DIV_ULP
from lossproof.truth.row_quantities import MASKED


@compiled
def reduced_error(
    M: Any, reduction: int, h: float, T_rows: float, S_rows: float, loss: float, denominator: float, rho: float
) -> float:
    """The error of the sum or the mean of rows whose errors, magnitudes and losses are summed here, with h roundings of
    the flat sum (docs/bounds.md, section 5)."""
    A = T_rows + math.expm1(h * M.t_s) * (S_rows + T_rows)
    T_sum = A + M.tau
    if M.sixteen:
        T_sum = T_sum + (4 if M.narrow else 1) * M.u_o * (S_rows + A)
    if reduction == SUM:
        return T_sum
    W = abs(denominator)
    B = (T_sum / W + abs(loss) / W * rho) / (1 - rho)
    # (A6): division within its contract, and a count of rows that may need rounding.
    f = 3 * M.u_o if M.sixteen else (DIV_ULP + 1) * M.u_s
    return B + f * (S_rows / W + B) + M.tau


@compiled
def judge_reduced(
    kind: int,
    reduction: int,
    table: Any,
    b: int,
    asked: Any,
    declared: Any,
    values: Any,
    total: float,
    total_low: float,
    special: float,
    accept: int,
    clause: int,
    T_rows: Any,
    S_rows: float,
    losses: float,
    small_size: float,
    confident: Any,
    farthest: Any,
    denominator: float,
    rho: Any,
    summary: Any,
    fmt: Any,
) -> None:
    """Judge the answers to problem ``b``, whose rows are reduced.

    ``special`` is the sum of those losses that are no numbers, or 0; ``accept`` and ``clause`` are all rows', T_rows
    (M,) and S_rows the sums of their errors and magnitudes, ``losses`` and ``small_size`` those of their losses and of
    the magnitudes of these. ``confident`` (M,) says under which models all rows are, and ``farthest`` how far the
    farthest is off.
    """
    divisor, radius = denominator if reduction == MEAN else 1.0, 0.0
    # Of a sum that is NaN nothing else is accepted.
    accept, clause = (0, 0) if special != special else (accept, clause)
    for m in range(table.shape[0] - 1):
        M = table[m]
        h = M.h_n if kind == HARD else M.h_nk
        T = rounded_up(M, reduced_error(M, reduction, h, T_rows[m], S_rows, losses, denominator, rho[m, b]))
        if m == 0:
            radius = T
            continue
        for t in range(asked.shape[0]):
            if not asked[t, m]:
                continue
            s, got = summary[t, 0, b, m], values[t, b, 0]
            compare_loss(s, 0, got, special / divisor, MASKED, total, total_low, radius, T, fmt, accept, clause)
            if confident[m] and declared[t] == m and accept == 0 and special == 0:
                grade(s, M, got, losses / divisor, small_size / abs(divisor) * farthest[m], T)
