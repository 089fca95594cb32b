"""The pass over cross-entropies: every row of every problem, judged for every target."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossproof.judging.fused import double_double_scalars as dd
from lossproof.judging.fused.compiler import loop
from lossproof.judging.fused.cross_entropy_rows import (
    HARD,
    LOSS,
    MEAN,
    NONE,
    QA,
    SMOOTHED,
    SUMS,
    Q,
    S,
    coefficients,
    coefficients_twice,
    gradient_bound,
    reduced_error,
    row_error,
    sum_row,
)
from lossproof.judging.fused.entries import compare_entry, grade, is_masked_or_finite, rounded_up
from lossproof.judging.fused.machine_code import BOOL, F8, I8
from lossproof.judging.fused.model_table import MODEL
from lossproof.judging.fused.row_terms import (
    FIRST,
    LOG_S,
    SPREAD,
    analyse_row,
    analyse_row_twice,
    confidence,
    relative_error,
    softmax_errors,
)
from lossproof.judging.fused.softmax_rows import small_vjp


@loop(
    int,
    int,
    bool,
    bool,
    (MODEL, 1),
    (F8, 1),
    (F8, 3),
    (I8, 2),
    (F8, 3),
    (F8, 2),
    (BOOL, 2),
    (F8, 1),
    (F8, 2),
    (F8, 2),
    (F8, 2),
    (F8, 1),
    (F8, 2),
    (F8, 3),
    (F8, 4),
    (BOOL, 2),
    (I8, 1),
    (F8, 2),
    (F8, 2),
    (F8, 5),
    (BOOL, 2),
)
def judge_cross_entropy_rows(
    kind: int,
    reduction: int,
    weighted: bool,
    twice: bool,
    table: Any,
    fmt: Any,
    x: Any,
    y: Any,
    q: Any,
    w: Any,
    kept: Any,
    eps: Any,
    counted: Any,
    cot: Any,
    row_scale: Any,
    denominator: Any,
    rho: Any,
    values: Any,
    vjps: Any,
    asked: Any,
    declared: Any,
    work: Any,
    block: Any,
    summary: Any,
    regular: Any,
) -> None:
    """Fill in the summaries of all problems, and say which of them are regular.

    As ``softmax_pass.judge_softmax_rows``, and ``kind`` and ``reduction`` are those of ``cross_entropy_rows``;
    ``y`` (B, N) labels, -1 where ``q`` (B, N, K) has probabilities; ``w`` (B, K), ``kept`` and ``counted`` (B, N),
    ``eps`` (B,), ``cot`` (B, N) or (B, 1) or nothing (0, 0), ``row_scale`` (B, N), ``denominator`` (B,), ``rho``
    (M, B). ``values`` are (T, B, N) or (T, B, 1), ``work`` (LOSS_ROWS, K) zeros.
    """
    b_all, n_all, k = x.shape
    targets, models = asked.shape
    with_value, with_vjp, with_q = values.shape[0] > 0, cot.shape[0] > 0 and vjps.shape[0] > 0, q.shape[0] > 0
    d, p, log_p, p_twice, p_low, log_p_twice, log_p_low = work[0], work[1], work[2], work[3], work[4], work[5], work[6]
    c, c_size, minus_c, c_twice, c_low = work[7], work[8], work[9], work[10], work[11]
    T_lsm, G0, bound, radius = work[12], work[13], work[14], work[15]
    vjp, vjp_low, exact, size = work[16], work[17], work[18], work[19]
    row, sums, no_q = block[3], block[4, :SUMS], block[8, :1]
    T_rows, farthest, all_confident = block[5, :models], block[6, :models], block[7, :models]
    for b in range(b_all):
        T_rows[:], farthest[:], all_confident[:] = 0.0, 0.0, 1.0
        S_rows, losses, loss_sizes = 0.0, 0.0, 0.0
        total, total_low, small_size = 0.0, 0.0, 0.0
        W, W_low = 0.0, 0.0
        for n in range(n_all):
            W, W_low = dd.add(W, W_low, counted[b, n], 0.0)
        for n in range(n_all):
            is_kept, y_n = kept[b, n], y[b, n]
            q_n = q[b, n] if with_q else no_q
            if not is_masked_or_finite(x[b, n]):
                regular[:, b] = False
                break
            analyse_row(x[b, n], d, p, log_p, row)
            if is_kept:
                coefficients(y_n, q_n, w[b], eps[b], c, c_size)
                sum_row(y_n, q_n, w[b], eps[b], c, c_size, log_p, sums)
            else:
                sums[:] = 0.0
            loss_sizes += abs(sums[LOSS])
            share = abs(row_scale[b, n]) * max(1.0, sums[QA])
            beside = True
            for j in range(k):
                # Clause 6 speaks of absent classes that have a part in the loss, or a part of 0.
                if is_kept and x[b, n, j] == -np.inf and (with_q or j == y_n or eps[b] != 0):
                    beside = False
            if not beside or row[SPREAD] >= fmt[3] or not loss_sizes < fmt[4]:
                regular[:, b] = False
                break
            if not share < fmt[4]:
                regular[1, b] = False
            result, result_low = sums[LOSS], 0.0
            if twice and is_kept:
                analyse_row_twice(x[b, n], int(row[FIRST]), p_twice, p_low, log_p_twice, log_p_low, block)
                coefficients_twice(y_n, q_n, w[b], eps[b], kind == SMOOTHED, c_twice, c_low)
                result, Q_twice, Q_low = 0.0, 0.0, 0.0
                for j in range(k):
                    a, a_low = dd.multiply(c_twice[j], c_low[j], log_p_twice[j], log_p_low[j])
                    result, result_low = dd.add(result, result_low, -a, -a_low)
                    Q_twice, Q_low = dd.add(Q_twice, Q_low, c_twice[j], c_low[j])
                if with_vjp:
                    g, g_low = cot[b, n if reduction == NONE else 0], 0.0
                    if reduction == MEAN:
                        g, g_low = dd.divide_scalars(g, 0.0, W, W_low)
                    for j in range(k):
                        a, a_low = dd.multiply(Q_twice, Q_low, p_twice[j], p_low[j])
                        a, a_low = dd.add(a, a_low, -c_twice[j], -c_low[j])
                        vjp[j], vjp_low[j] = dd.multiply(g, g_low, a, a_low)
            elif with_vjp and is_kept:
                for j in range(k):
                    vjp[j] = row_scale[b, n] * (sums[Q] * p[j] - c[j])
            if twice:
                total, total_low = dd.add(total, total_low, result, result_low)
            losses += sums[LOSS]
            S_rows += sums[S]
            row_size = 0.0
            if is_kept:
                for j in range(k):
                    row_size += abs(c[j] * log_p[j])
            small_size += row_size
            row_radius = 0.0
            for m in range(models - 1):
                M = table[m]
                T_row = 0.0
                if is_kept:
                    softmax_errors(M, d, p, log_p, row, True, bound, T_lsm, G0)
                    T_row = row_error(M, kind, y_n, q_n, w[b], eps[b], c_size, log_p, T_lsm, sums)
                    if with_vjp:
                        gradient_bound(
                            M,
                            kind,
                            reduction,
                            weighted,
                            y_n,
                            q_n,
                            w[b],
                            eps[b],
                            c,
                            c_size,
                            p,
                            log_p,
                            G0,
                            sums,
                            row_scale[b, n],
                            denominator[b],
                            rho[m, b],
                            bound,
                        )
                T_rows[m] += T_row
                if m == 0:
                    row_radius = rounded_up(M, T_row) if is_kept else 0.0
                    for j in range(k):
                        radius[j] = rounded_up(M, bound[j])
                    continue
                rel = confidence(M, d, p, row, reduction != NONE)
                confident = rel > 0
                if confident:
                    rel += relative_error(table[models - 1], d, p, row[LOG_S], reduction != NONE)
                    farthest[m] = max(farthest[m], rel)
                else:
                    all_confident[m] = 0.0
                if confident and with_vjp and is_kept:
                    for j in range(k):
                        minus_c[j] = -c[j]
                    small_vjp(p, log_p, minus_c, row_scale[b, n], int(row[FIRST]), exact, size)
                for t in range(targets):
                    if not asked[t, m]:
                        continue
                    graded = confident and is_kept and declared[t] == m
                    if reduction == NONE and with_value:
                        s, got = summary[t, 0, b, m], values[t, b, n]
                        if is_kept:
                            allowed = rounded_up(M, T_row)
                            compare_entry(s, n, got, result, result_low, row_radius, allowed, fmt)
                            if graded:
                                grade(s, M, got, sums[LOSS], row_size * rel, allowed)
                        else:
                            compare_entry(s, n, got, 0.0, 0.0, 0.0, 0.0, fmt)
                    if not with_vjp:
                        continue
                    s = summary[t, 1, b, m]
                    for j in range(k):
                        got = vjps[t, b, n, j]
                        if not is_kept:
                            compare_entry(s, n * k + j, got, 0.0, 0.0, 0.0, 0.0, fmt)
                            continue
                        allowed = rounded_up(M, bound[j])
                        compare_entry(s, n * k + j, got, vjp[j], vjp_low[j], radius[j], allowed, fmt)
                        if graded:
                            grade(s, M, got, exact[j], size[j] * rel, allowed)
        if reduction == NONE or not with_value or not regular[0, b]:
            continue
        if not twice:
            total = losses / denominator[b] if reduction == MEAN else losses
        elif reduction == MEAN:
            total, total_low = dd.divide_scalars(total, total_low, W, W_low)
        small = losses / denominator[b] if reduction == MEAN else losses
        if reduction == MEAN:
            small_size /= abs(denominator[b])
        reduced_radius = 0.0
        for m in range(models - 1):
            M = table[m]
            h = M.h_n if kind == HARD else M.h_nk
            T = rounded_up(M, reduced_error(M, reduction, h, T_rows[m], S_rows, losses, denominator[b], rho[m, b]))
            if m == 0:
                reduced_radius = T
                continue
            for t in range(targets):
                if asked[t, m]:
                    s, got = summary[t, 0, b, m], values[t, b, 0]
                    compare_entry(s, 0, got, total, total_low, reduced_radius, T, fmt)
                    if all_confident[m] and declared[t] == m:
                        grade(s, M, got, small, small_size * farthest[m], T)
