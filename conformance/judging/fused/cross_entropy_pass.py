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
    add_row_errors,
    add_sums,
    coefficients,
    coefficients_twice,
    gradient_bound,
    gradient_twice,
    negate,
    reduced_error,
    row_error,
    second_sums,
)
from lossproof.judging.fused.entries import compare_either, compare_entry, grade, is_masked_or_finite, rounded_up
from lossproof.judging.fused.machine_code import BOOL, F8, I8
from lossproof.judging.fused.model_table import MODEL
from lossproof.judging.fused.row_terms import (
    FIRST,
    LOG_S,
    SPREAD,
    confidence,
    farthest_normal,
    normaliser_error,
    scan_row,
    scan_row_twice,
    scan_window,
    scan_window_twice,
    softmax_errors,
    some_may_be_confident,
    weigh,
)
from lossproof.judging.fused.softmax_rows import add_others, small_vjp


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
    either: Any,
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
    ``y`` (B, N) labels, -1 where ``q`` (B, N, K) has probabilities; ``w`` (B, K) where they are ``weighted``, ``kept``
    and ``counted`` (B, N), ``eps`` (B,), ``cot`` (B, N) or (B, 1) or nothing (0, 0), ``row_scale`` (B, N),
    ``denominator`` (B,), ``rho`` (M, B), ``either`` (B, N) the rows that may have either of two gradients.
    ``values`` are (T, B, N) or (T, B, 1), ``work`` (LOSS_ROWS, K or less).
    """
    b_all, n_all, k = x.shape
    targets, models = asked.shape
    width, several = work.shape[1], k > work.shape[1]
    with_value, with_vjp, with_q = values.shape[0] > 0, cot.shape[0] > 0 and vjps.shape[0] > 0, q.shape[0] > 0
    d, p, log_p, p_twice, p_low, log_p_twice, log_p_low = work[0], work[1], work[2], work[3], work[4], work[5], work[6]
    c, c_size, q_size, minus_c, c_twice, c_low = work[7], work[8], work[9], work[10], work[11], work[12]
    T_lsm, G0, bound, radius, ones = work[13], work[14], work[15], work[16], work[17]
    vjp, vjp_low, exact, size = work[18], work[19], work[20], work[21]
    second, second_low = work[22], work[23]
    row, both_sums, sums, no_q = block[3], block[13:15, :SUMS], block[13, :SUMS], block[0, :0]
    T_rows, farthest, all_confident = block[5, :models], block[6, :models], block[7, :models]
    A_s, fading, normal, rel = block[8, :models], block[9, :models], block[10, :models], block[11, :models]
    ST, lost = block[12, :models], block[4, :models]
    ones[:] = 1.0
    for b in range(b_all):
        T_rows[:], farthest[:], all_confident[:] = 0.0, 0.0, 1.0
        S_rows, losses, loss_sizes, small_size = 0.0, 0.0, 0.0, 0.0
        total, total_low, W, W_low = 0.0, 0.0, 0.0, 0.0
        part_of_all = eps[b] / k
        for n in range(n_all):
            W, W_low = dd.add(W, W_low, counted[b, n], 0.0)
        for n in range(n_all):
            is_kept, y_n, x_n = kept[b, n], y[b, n], x[b, n]
            if not is_masked_or_finite(x_n):
                regular[:, b] = False
                break
            scan_row(x_n, d, p, row)
            sums[:], A_s[:], fading[:], normal[:] = 0.0, 0.0, 0.0, 0.0
            beside, row_size, first = True, 0.0, int(row[FIRST])
            some_confident = some_may_be_confident(table, row, reduction != NONE)
            for start in range(0, k, width):
                part = x_n[start : start + width]
                count, label = part.shape[0], y_n - start
                q_part = q[b, n, start : start + width] if with_q else no_q
                w_part = w[b, start : start + width] if weighted else ones
                scan_window(part, several, row, d, p, log_p)
                if is_kept:
                    coefficients(count, label, q_part, w_part, eps[b], part_of_all, c, c_size, q_size)
                    add_sums(count, w_part, c, c_size, q_size, log_p, sums)
                    for j in range(count):
                        row_size += abs(c[j] * log_p[j])
                        # Clause 6 speaks of absent classes that have a part in the loss, or a part of 0.
                        if part[j] == -np.inf and (with_q or j == label or eps[b] != 0):
                            beside = False
                for m in range(models):
                    if some_confident and m > 0:
                        normal[m] = farthest_normal(table[m], count, d, p, normal[m])
                    if m < models - 1 and is_kept:
                        A_s[m], fading[m] = weigh(table[m], count, d, p, log_p, A_s[m], fading[m])
            loss_sizes += abs(sums[LOSS])
            if not beside or row[SPREAD] >= fmt[3] or not loss_sizes < fmt[4]:
                regular[:, b] = False
                break
            if not abs(row_scale[b, n]) * max(1.0, sums[QA]) < fmt[4]:
                regular[1, b] = False
            some_confident = False
            for m in range(models - 1):
                A_s[m] = normaliser_error(table[m], row, A_s[m], fading[m])
                if m == 0:
                    continue
                rel[m] = confidence(table[m], table[models - 1], normal[m], normal[models - 1], row, reduction != NONE)
                farthest[m] = max(farthest[m], rel[m])
                all_confident[m] = all_confident[m] if rel[m] > 0 else 0.0
                some_confident = some_confident or (rel[m] > 0 and with_vjp and is_kept)
            is_twice, has_either = twice and is_kept, with_vjp and is_kept and either[b, n]
            second_sums(both_sums)
            if is_twice:
                scan_row_twice(x_n, p_twice, p_low, log_p_twice, log_p_low, block, row)
            result, result_low, Q_twice, Q_low = 0.0 if is_twice else sums[LOSS], 0.0, 0.0, 0.0
            others, others_size, minus_c_first = 0.0, 0.0, 0.0
            ST[:], lost[:] = 0.0, 0.0
            for start in range(0, k if is_kept and (twice or several or some_confident) else 0, width):
                part = x_n[start : start + width]
                count, label = part.shape[0], y_n - start
                if several and kind == HARD and not twice and not some_confident and not 0 <= label < count:
                    # No class of it is used.
                    continue
                q_part = q[b, n, start : start + width] if with_q else no_q
                w_part = w[b, start : start + width] if weighted else ones
                if several:
                    scan_window(part, several, row, d, p, log_p)
                    coefficients(count, label, q_part, w_part, eps[b], part_of_all, c, c_size, q_size)
                    for m in range(models - 1):
                        softmax_errors(table[m], count, d, p, log_p, row[LOG_S], A_s[m], True, bound, T_lsm, G0)
                        ST[m], lost[m] = add_row_errors(
                            table[m], count, w_part, c_size, q_size, log_p, T_lsm, ST[m], lost[m]
                        )
                if twice:
                    scan_window_twice(part, several, row, p_twice, p_low, log_p_twice, log_p_low, block)
                    coefficients_twice(count, label, q_part, w_part, eps[b], k, kind == SMOOTHED, c_twice, c_low)
                    for j in range(count):
                        a, a_low = dd.multiply(c_twice[j], c_low[j], log_p_twice[j], log_p_low[j])
                        result, result_low = dd.add(result, result_low, -a, -a_low)
                        Q_twice, Q_low = dd.add(Q_twice, Q_low, c_twice[j], c_low[j])
                if some_confident:
                    negate(count, c, minus_c)
                    others, others_size = add_others(count, minus_c, first - start, others, others_size)
                    if 0 <= first - start < count:
                        minus_c_first = minus_c[first - start]
            g, g_low = 0.0, 0.0
            if twice and with_vjp:
                g = cot[b, n if reduction == NONE else 0]
                if reduction == MEAN:
                    g, g_low = dd.divide_scalars(g, 0.0, W, W_low)
            for start in range(0, k if with_vjp or not several else 0, width):
                part = x_n[start : start + width]
                count, label, at = part.shape[0], y_n - start, n * k + start
                q_part = q[b, n, start : start + width] if with_q else no_q
                w_part = w[b, start : start + width] if weighted else ones
                if several and is_kept:
                    scan_window(part, several, row, d, p, log_p)
                    coefficients(count, label, q_part, w_part, eps[b], part_of_all, c, c_size, q_size)
                if several and is_twice:
                    scan_window_twice(part, several, row, p_twice, p_low, log_p_twice, log_p_low, block)
                    coefficients_twice(count, label, q_part, w_part, eps[b], k, kind == SMOOTHED, c_twice, c_low)
                for j in range(count if with_vjp and is_kept else 0):
                    if twice:
                        at_j = p_twice[j], p_low[j], c_twice[j], c_low[j]
                        vjp[j], vjp_low[j] = gradient_twice(g, g_low, Q_twice, Q_low, *at_j)
                        if has_either:
                            second[j], second_low[j] = gradient_twice(g, g_low, 1.0, 0.0, *at_j)
                    else:
                        vjp[j] = row_scale[b, n] * (sums[Q] * p[j] - c[j])
                        second[j] = row_scale[b, n] * (p[j] - c[j])
                if some_confident:
                    negate(count, c, minus_c)
                    small_vjp(
                        count,
                        p,
                        log_p,
                        minus_c,
                        row_scale[b, n],
                        first - start,
                        minus_c_first,
                        others,
                        others_size,
                        exact,
                        size,
                    )
                for m in range(models - 1):
                    M = table[m]
                    if is_kept:
                        softmax_errors(M, count, d, p, log_p, row[LOG_S], A_s[m], True, bound, T_lsm, G0)
                        if not several:
                            ST[m], lost[m] = add_row_errors(M, count, w_part, c_size, q_size, log_p, T_lsm, 0.0, 0.0)
                    if not with_vjp:
                        continue
                    for formula in range(int(is_kept) + int(has_either)):
                        gradient_bound(
                            formula,
                            M,
                            kind,
                            reduction,
                            weighted,
                            count,
                            w_part,
                            c,
                            c_size,
                            q_size,
                            p,
                            log_p,
                            G0,
                            both_sums,
                            row_scale[b, n],
                            denominator[b],
                            rho[m, b],
                            bound,
                        )
                    if m == 0:
                        for j in range(count):
                            radius[j] = rounded_up(M, bound[j])
                        continue
                    for t in range(targets):
                        if not asked[t, m]:
                            continue
                        s, graded = summary[t, 1, b, m], rel[m] > 0 and is_kept and declared[t] == m
                        for j in range(count):
                            got = vjps[t, b, n, start + j]
                            if not is_kept:
                                compare_entry(s, at + j, got, 0.0, 0.0, 0.0, 0.0, fmt)
                                continue
                            allowed = rounded_up(M, bound[j])
                            if has_either:
                                compare_either(s, at, j, got, vjp, vjp_low, second, second_low, radius, allowed, fmt)
                            else:
                                compare_entry(s, at + j, got, vjp[j], vjp_low[j], radius[j], allowed, fmt)
                            if graded and not (has_either and second[j] != vjp[j]):
                                grade(s, M, got, exact[j], size[j] * rel[m], allowed)
            if twice:
                total, total_low = dd.add(total, total_low, result, result_low)
            losses += sums[LOSS]
            S_rows += sums[S]
            small_size += row_size
            row_radius = 0.0
            for m in range(models - 1):
                M = table[m]
                T_row = row_error(M, kind, ST[m], lost[m], sums) if is_kept else 0.0
                T_rows[m] += T_row
                if m == 0:
                    row_radius = rounded_up(M, T_row)
                for t in range(targets if m > 0 and reduction == NONE and with_value else 0):
                    if not asked[t, m]:
                        continue
                    s, got = summary[t, 0, b, m], values[t, b, n]
                    if not is_kept:
                        compare_entry(s, n, got, 0.0, 0.0, 0.0, 0.0, fmt)
                        continue
                    allowed = rounded_up(M, T_row)
                    compare_entry(s, n, got, result, result_low, row_radius, allowed, fmt)
                    if rel[m] > 0 and declared[t] == m:
                        grade(s, M, got, sums[LOSS], row_size * rel[m], allowed)
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
