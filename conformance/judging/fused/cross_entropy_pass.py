"""The pass over cross-entropies: every row of every problem, judged for every target."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossproof.judging.fused import double_double_scalars as dd
from lossproof.judging.fused.comparisons import compare_gradients, compare_loss, compare_row_apart, compare_window
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
    row_error,
    second_sums,
)
from lossproof.judging.fused.entries import grade, rounded_up
from lossproof.judging.fused.machine_code import BOOL, F8, I8
from lossproof.judging.fused.model_table import MODEL
from lossproof.judging.fused.reductions import judge_reduced
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
from lossproof.judging.fused.special_rows import (
    accepted_of_loss,
    clause_of,
    farthest_used,
    floor_of,
    is_undefined,
    limit_of_loss,
    part_of_absent,
    part_of_infinite,
    row_kind,
)
from lossproof.truth.row_quantities import MANY_POS, MASKED


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
        # What is no number of the rows' losses, and what is accepted in place of their sum.
        special_total, accept_total, clause_total = 0.0, 0, 0
        part_of_all = eps[b] / k
        for n in range(n_all):
            W, W_low = dd.add(W, W_low, counted[b, n], 0.0)
        for n in range(n_all):
            y_n, x_n = y[b, n], x[b, n]
            kind_n = row_kind(x_n)
            if not kept[b, n] or is_undefined(kind_n):
                special_total += np.nan if kept[b, n] else 0.0
                sums[QA] = 0.0
                for start in range(0, k if with_vjp and kept[b, n] else 0, width):
                    count, label = min(width, k - start), y_n - start
                    q_part = q[b, n, start : start + width] if with_q else no_q
                    w_part = w[b, start : start + width] if weighted else ones
                    coefficients(count, label, q_part, w_part, eps[b], part_of_all, c, c_size, q_size)
                    for j in range(count):
                        sums[QA] += c_size[j]
                # A scale that overflows may make 0 and infinity of it, too (clause 10).
                if with_vjp and not abs(row_scale[b, n]) * max(1.0, sums[QA]) < fmt[4]:
                    regular[1, b] = False
                with_row = with_value and reduction == NONE
                compare_row_apart(asked, summary, b, n, with_row, values, with_vjp, vjps, kind_n, kept[b, n], fmt)
                continue
            floor = floor_of(kind_n)
            scan_row(x_n, floor, d, p, row)
            sums[:], A_s[:], fading[:], normal[:] = 0.0, 0.0, 0.0, 0.0
            met, row_size, first, used_spread = 0, 0.0, int(row[FIRST]), 0.0
            some_confident = some_may_be_confident(table, row, reduction != NONE)
            for start in range(0, k, width):
                part = x_n[start : start + width]
                count, label = part.shape[0], y_n - start
                q_part = q[b, n, start : start + width] if with_q else no_q
                w_part = w[b, start : start + width] if weighted else ones
                scan_window(part, several, row, d, p, log_p)
                coefficients(count, label, q_part, w_part, eps[b], part_of_all, c, c_size, q_size)
                add_sums(count, w_part, c, c_size, q_size, log_p, sums)
                for j in range(count):
                    row_size += abs(c[j] * log_p[j])
                    # Clauses 5 and 6 speak of absent classes that have a part in the loss, or a part of 0.
                    if part[j] <= floor and (with_q or j == label or eps[b] != 0):
                        met |= part_of_absent(c[j])
                if kind_n == MANY_POS:
                    met |= part_of_infinite(count, part, c)
                if kind == HARD and row[SPREAD] >= fmt[3]:
                    used_spread = farthest_used(count, c, d, log_p, used_spread)
                for m in range(models):
                    if some_confident and m > 0:
                        normal[m] = farthest_normal(table[m], count, d, p, normal[m])
                    if m < models - 1:
                        A_s[m], fading[m] = weigh(table[m], count, d, p, log_p, A_s[m], fading[m])
            loss_sizes += abs(sums[LOSS])
            if not loss_sizes < fmt[4]:
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
                some_confident = some_confident or (rel[m] > 0 and with_vjp)
            beyond, has_either = row[SPREAD] >= fmt[3], with_vjp and either[b, n]
            # A class that a label gives no part in the loss contributes 0, also where its log p overflows (clause 6).
            accept = accepted_of_loss(kind_n, met, beyond and (kind != HARD or used_spread >= fmt[3]))
            limit, clause = limit_of_loss(met), clause_of(kind_n, accept)
            special_total += limit
            accept_total, clause_total = accept_total | accept, max(clause_total, clause)
            second_sums(both_sums)
            if twice:
                scan_row_twice(x_n, p_twice, p_low, log_p_twice, log_p_low, block, row)
            result, result_low, Q_twice, Q_low = 0.0 if twice else sums[LOSS], 0.0, 0.0, 0.0
            others, others_size, minus_c_first = 0.0, 0.0, 0.0
            ST[:], lost[:] = 0.0, 0.0
            for start in range(0, k if twice or several or some_confident else 0, width):
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
                if several:
                    scan_window(part, several, row, d, p, log_p)
                    coefficients(count, label, q_part, w_part, eps[b], part_of_all, c, c_size, q_size)
                if several and twice:
                    scan_window_twice(part, several, row, p_twice, p_low, log_p_twice, log_p_low, block)
                    coefficients_twice(count, label, q_part, w_part, eps[b], k, kind == SMOOTHED, c_twice, c_low)
                for j in range(count if with_vjp else 0):
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
                    of_others = first - start, minus_c_first, others, others_size
                    small_vjp(count, p, log_p, minus_c, row_scale[b, n], *of_others, exact, size)
                for m in range(models - 1):
                    M = table[m]
                    softmax_errors(M, count, d, p, log_p, row[LOG_S], A_s[m], True, bound, T_lsm, G0)
                    if not several:
                        ST[m], lost[m] = add_row_errors(M, count, w_part, c_size, q_size, log_p, T_lsm, 0.0, 0.0)
                    if not with_vjp:
                        continue
                    for formula in range(1 + int(has_either)):
                        of_classes = count, w_part, c, c_size, q_size, p, log_p, G0
                        of_row = both_sums, row_scale[b, n], denominator[b], rho[m, b]
                        gradient_bound(formula, M, kind, reduction, weighted, *of_classes, *of_row, bound)
                    if m == 0:
                        for j in range(count):
                            radius[j] = rounded_up(M, bound[j])
                        continue
                    for t in range(targets):
                        if not asked[t, m]:
                            continue
                        s, got_vjp = summary[t, 1, b, m], vjps[t, b, n, start : start + count]
                        expected = vjp, vjp_low, has_either, second, second_low, radius, bound, fmt
                        if kind_n != MASKED or beyond:
                            compare_gradients(False, M, s, at, got_vjp, part, kind_n, floor, beyond, *expected)
                        else:
                            graded = rel[m] > 0 and declared[t] == m
                            compare_window(M, s, at, got_vjp, *expected, graded, exact, size, rel[m])
            if twice:
                total, total_low = dd.add(total, total_low, result, result_low)
            losses += sums[LOSS]
            S_rows += sums[S]
            small_size += row_size
            row_radius = 0.0
            for m in range(models - 1):
                M = table[m]
                T_row = row_error(M, kind, ST[m], lost[m], sums)
                T_rows[m] += T_row
                if m == 0:
                    row_radius = rounded_up(M, T_row)
                for t in range(targets if m > 0 and reduction == NONE and with_value else 0):
                    if not asked[t, m]:
                        continue
                    s, got = summary[t, 0, b, m], values[t, b, n]
                    allowed = rounded_up(M, T_row)
                    compare_loss(s, n, got, limit, kind_n, result, result_low, row_radius, allowed, fmt, accept, clause)
                    if rel[m] > 0 and declared[t] == m and accept == 0 and limit == 0:
                        grade(s, M, got, sums[LOSS], row_size * rel[m], allowed)
        if reduction == NONE or not with_value or not regular[0, b]:
            continue
        if twice and reduction == MEAN:
            total, total_low = dd.divide_scalars(total, total_low, W, W_low)
        elif not twice:
            total = losses / denominator[b] if reduction == MEAN else losses
        of_rows = T_rows, S_rows, losses, small_size, all_confident, farthest, denominator[b], rho
        whole = total, total_low, special_total, accept_total, clause_total
        judge_reduced(kind, reduction, table, b, asked, declared, values, *whole, *of_rows, summary, fmt)
