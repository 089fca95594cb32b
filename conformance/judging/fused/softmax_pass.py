"""The pass over softmax and log-softmax: every row of every problem, judged for every target."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossproof.judging.fused.comparisons import compare_gradients, compare_probabilities, compare_undefined
from lossproof.judging.fused.compiler import loop
from lossproof.judging.fused.entries import (
    compare_entry,
    compare_infinite,
    grade,
    rounded_up,
)
from lossproof.judging.fused.machine_code import BOOL, F8, I8
from lossproof.judging.fused.model_table import MODEL
from lossproof.judging.fused.row_terms import (
    FIRST,
    LOG_S,
    OTHERS,
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
from lossproof.judging.fused.softmax_rows import (
    add_entries,
    add_entries_twice,
    add_other_products,
    add_others,
    add_products,
    add_products_twice,
    add_vjp_errors,
    log_softmax_vjp,
    log_softmax_vjp_bound,
    log_softmax_vjp_twice,
    small_softmax_vjp,
    small_vjp,
    softmax_vjp,
    softmax_vjp_bound,
    softmax_vjp_twice,
)
from lossproof.judging.fused.special_rows import floor_of, is_undefined, row_kind
from lossproof.truth.row_quantities import MASKED


@loop(
    bool,
    bool,
    (MODEL, 1),
    (F8, 1),
    (F8, 3),
    (F8, 3),
    (F8, 4),
    (F8, 4),
    (BOOL, 2),
    (I8, 1),
    (F8, 2),
    (F8, 2),
    (F8, 5),
    (BOOL, 2),
)
def judge_softmax_rows(
    log: bool,
    twice: bool,
    table: Any,
    fmt: Any,
    x: Any,
    v: Any,
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

    ``log``      whether it is log-softmax
    ``twice``    whether the results are computed in double-double
    ``table``    the models (``model_table``): first that of the oracle, last that of float64 as it is
    ``fmt``      what ``entries.compare_entry`` needs of the format, then the sizes that a row and its sums stay below
    ``x``, ``v`` (B, N, K) logits, and cotangents or nothing (0, 0, 0)
    ``values``, ``vjps`` (T, B, N, K) answers of the targets, or nothing (0, 0, 0, 0)
    ``asked``    (T, M) under which models a target is judged: each but the first and the last is asked by one
    ``declared`` (T,) which model a target declares
    ``work``     (SOFTMAX_ROWS, K or less), ``block`` BLOCK_SHAPE: what is worked in. Rows of more classes are gone
                 through several times, a window of so many classes after the other, and the sums go on from one to the
                 next
    ``summary``  (T, 2, B, M, SUMMARY_FIELDS)
    ``regular``  (2, B) of which problems the value, and the VJP, is judged here
    """
    b_all, n_all, k = x.shape
    targets, models = asked.shape
    width, several = work.shape[1], k > work.shape[1]
    with_value, with_vjp = values.shape[0] > 0, v.shape[0] > 0 and vjps.shape[0] > 0
    d, p, log_p, p_low, log_p_low, p_twice, log_p_twice = work[0], work[1], work[2], work[3], work[4], work[5], work[6]
    T_softmax, T_lsm, G0, bound, radius, vjp_radius = work[7], work[8], work[9], work[10], work[11], work[12]
    vjp, vjp_low, exact, size, row = work[13], work[14], work[15], work[16], block[3]
    A_s, fading, farthest, rho = block[4, :models], block[5, :models], block[6, :models], block[7, :models]
    D, E, weighted = block[8, :models], block[9, :models], block[10, :models]
    result, result_low = (log_p, log_p_low) if log else (p, p_low)
    if twice:
        result = log_p_twice if log else p_twice
    for b in range(b_all):
        for n in range(n_all):
            x_n = x[b, n]
            kind = row_kind(x_n)
            if is_undefined(kind):
                for t in range(targets):
                    for m in range(models):
                        if asked[t, m] and with_value:
                            compare_undefined(summary[t, 0, b, m], n * k, values[t, b, n])
                        if asked[t, m] and with_vjp:
                            compare_undefined(summary[t, 1, b, m], n * k, vjps[t, b, n])
                continue
            floor, v_n = floor_of(kind), v[b, n] if with_vjp else x_n
            scan_row(x_n, floor, d, p, row)
            total, sizes, some, inner = 0.0, 0.0, 0.0, 0.0
            if with_vjp:
                total, sizes, some = add_entries(v_n, total, sizes, some)
            beyond = row[SPREAD] >= fmt[3]
            vjp_beyond = beyond or sizes * (1.0 if log else 2.0) >= fmt[4]
            some_confident = some_may_be_confident(table, row, False)
            A_s[:], fading[:], farthest[:] = 0.0, 0.0, 0.0
            for start in range(0, k, width):
                part = x_n[start : start + width]
                scan_window(part, several, row, d, p, log_p)
                if with_vjp and not log:
                    inner = add_products(part.shape[0], p, v_n[start : start + width], inner)
                for m in range(models):
                    if some_confident and m > 0:
                        farthest[m] = farthest_normal(table[m], part.shape[0], d, p, farthest[m])
                    if m < models - 1:
                        A_s[m], fading[m] = weigh(table[m], part.shape[0], d, p, log_p, A_s[m], fading[m])
            some_confident = False
            for m in range(models - 1):
                A_s[m] = normaliser_error(table[m], row, A_s[m], fading[m])
                if m > 0:
                    rho[m] = confidence(table[m], table[models - 1], farthest[m], farthest[models - 1], row, False)
                    some_confident = some_confident or rho[m] > 0
            if twice:
                scan_row_twice(x_n, p_twice, p_low, log_p_twice, log_p_low, block, row)
            s_vjp, s_low, small, small_size, first = total if log else inner, 0.0, 0.0, 0.0, int(row[FIRST])
            if twice and with_vjp:
                s_vjp = 0.0
            D[:], E[:], weighted[:] = 0.0, 0.0, 0.0
            for start in range(0, k if with_vjp and (twice or some_confident or (several and not log)) else 0, width):
                part, cot = x_n[start : start + width], v_n[start : start + width]
                if several:
                    scan_window(part, several, row, d, p, log_p)
                if twice and log:
                    s_vjp, s_low = add_entries_twice(cot, s_vjp, s_low)
                elif twice:
                    scan_window_twice(part, several, row, p_twice, p_low, log_p_twice, log_p_low, block)
                    s_vjp, s_low = add_products_twice(p_twice, p_low, cot, s_vjp, s_low)
                if some_confident and log:
                    small, small_size = add_others(part.shape[0], cot, first - start, small, small_size)
                elif some_confident:
                    small, small_size = add_other_products(p, cot, first - start, small, small_size)
                for m in range(models - 1 if several and not log else 0):
                    softmax_errors(
                        table[m], part.shape[0], d, p, log_p, row[LOG_S], A_s[m], False, T_softmax, T_lsm, G0
                    )
                    D[m], E[m], weighted[m] = add_vjp_errors(table[m], p, cot, T_softmax, D[m], E[m], weighted[m])
            for start in range(0, k, width):
                part, cot = x_n[start : start + width], v_n[start : start + width]
                count, at = part.shape[0], n * k + start
                if several:
                    scan_window(part, several, row, d, p, log_p)
                # It is what it is already where the inner product has been computed of it.
                if twice and (several or log or not with_vjp):
                    scan_window_twice(part, several, row, p_twice, p_low, log_p_twice, log_p_low, block)
                if with_vjp:
                    if twice and log:
                        log_softmax_vjp_twice(p_twice, p_low, cot, s_vjp, s_low, vjp, vjp_low)
                    elif twice:
                        softmax_vjp_twice(p_twice, p_low, cot, s_vjp, s_low, vjp, vjp_low)
                    elif log:
                        log_softmax_vjp(p, cot, s_vjp, vjp)
                    else:
                        softmax_vjp(p, cot, s_vjp, vjp)
                    if some_confident and log:
                        small_vjp(count, p, log_p, cot, 1.0, first - start, v_n[first], small, small_size, exact, size)
                    elif some_confident:
                        first_product = 1.0 / (1.0 + row[OTHERS]) * v_n[first]
                        small_softmax_vjp(p, log_p, cot, first - start, first_product, small, small_size, exact, size)
                for m in range(models - 1):
                    M = table[m]
                    softmax_errors(M, count, d, p, log_p, row[LOG_S], A_s[m], log, T_softmax, T_lsm, G0)
                    if with_vjp and log:
                        log_softmax_vjp_bound(M, p, log_p, cot, G0, total, sizes, bound)
                    elif with_vjp:
                        if not several:
                            D[m], E[m], weighted[m] = add_vjp_errors(M, p, cot, T_softmax, 0.0, 0.0, 0.0)
                        softmax_vjp_bound(M, p, cot, T_softmax, D[m], E[m], weighted[m], some, bound)
                    errors = T_lsm if log else T_softmax
                    if m == 0:
                        for j in range(count):
                            radius[j] = rounded_up(M, errors[j])
                        for j in range(count if with_vjp else 0):
                            vjp_radius[j] = rounded_up(M, bound[j])
                        continue
                    for t in range(targets):
                        if not asked[t, m]:
                            continue
                        s, graded = summary[t, 0, b, m], rho[m] > 0 and declared[t] == m
                        is_special = kind != MASKED or beyond
                        if with_value and is_special:
                            got_value = values[t, b, n, start : start + count]
                            expected = result, result_low, radius, errors, fmt
                            compare_probabilities(log, M, s, at, got_value, part, kind, floor, beyond, *expected)
                        for j in range(count if with_value and not is_special else 0):
                            got = values[t, b, n, start + j]
                            if part[j] == -np.inf:
                                if log:
                                    compare_infinite(s, at + j, got, -np.inf)
                                else:
                                    compare_entry(s, at + j, got, 0.0, 0.0, 0.0, 0.0, fmt)
                                continue
                            allowed = rounded_up(M, errors[j])
                            compare_entry(s, at + j, got, result[j], result_low[j], radius[j], allowed, fmt)
                            if graded and log:
                                grade(s, M, got, log_p[j], abs(log_p[j]) * rho[m], allowed)
                        if not with_vjp:
                            continue
                        s, is_special = summary[t, 1, b, m], kind != MASKED or vjp_beyond
                        if is_special:
                            got_vjp = vjps[t, b, n, start : start + count]
                            first_only = vjp, vjp_low, False, vjp, vjp_low, vjp_radius, bound, fmt
                            compare_gradients(not log, M, s, at, got_vjp, part, kind, floor, vjp_beyond, *first_only)
                        for j in range(0 if is_special else count):
                            got = vjps[t, b, n, start + j]
                            if not log and part[j] == -np.inf:
                                compare_entry(s, at + j, got, 0.0, 0.0, 0.0, 0.0, fmt)
                                continue
                            allowed = rounded_up(M, bound[j])
                            compare_entry(s, at + j, got, vjp[j], vjp_low[j], vjp_radius[j], allowed, fmt)
                            if graded:
                                grade(s, M, got, exact[j], size[j] * rho[m], allowed)
