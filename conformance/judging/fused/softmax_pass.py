"""The pass over softmax and log-softmax: every row of every problem, judged for every target."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossproof.judging.fused.compiler import loop
from lossproof.judging.fused.entries import (
    compare_entry,
    compare_infinite,
    grade,
    is_masked_or_finite,
    rounded_up,
)
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
from lossproof.judging.fused.softmax_rows import (
    log_softmax_vjp,
    log_softmax_vjp_bound,
    log_softmax_vjp_twice,
    small_softmax_vjp,
    small_vjp,
    softmax_vjp,
    softmax_vjp_bound,
    softmax_vjp_twice,
)


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
    ``work``     (SOFTMAX_ROWS, K) zeros, ``block`` BLOCK_SHAPE: what is worked in
    ``summary``  (T, 2, B, M, SUMMARY_FIELDS)
    ``regular``  (2, B) of which problems the value, and the VJP, is without any clause of section 4
    """
    b_all, n_all, k = x.shape
    targets, models = asked.shape
    with_value, with_vjp = values.shape[0] > 0, v.shape[0] > 0 and vjps.shape[0] > 0
    d, p, log_p, p_low, log_p_low, p_twice, log_p_twice = work[0], work[1], work[2], work[3], work[4], work[5], work[6]
    T_softmax, T_lsm, G0, bound, radius, vjp_radius = work[7], work[8], work[9], work[10], work[11], work[12]
    vjp, vjp_low, exact, size, row = work[13], work[14], work[15], work[16], block[3]
    for b in range(b_all):
        for n in range(n_all):
            if not is_masked_or_finite(x[b, n]):
                regular[:, b] = False
                break
            analyse_row(x[b, n], d, p, log_p, row)
            spread = 0.0
            if with_vjp:
                for j in range(k):
                    spread += abs(v[b, n, j])
            if row[SPREAD] >= fmt[3]:
                regular[:, b] = False
                break
            if spread * (1.0 if log else 2.0) >= fmt[4]:
                regular[1, b] = False
            if twice:
                analyse_row_twice(x[b, n], int(row[FIRST]), p_twice, p_low, log_p_twice, log_p_low, block)
                result, result_low = (log_p_twice, log_p_low) if log else (p_twice, p_low)
            else:
                result, result_low = (log_p, log_p_low) if log else (p, p_low)
            if with_vjp:
                cot = v[b, n]
                if twice and log:
                    log_softmax_vjp_twice(p_twice, p_low, cot, vjp, vjp_low)
                elif twice:
                    softmax_vjp_twice(p_twice, p_low, cot, vjp, vjp_low)
                elif log:
                    log_softmax_vjp(p, cot, vjp)
                else:
                    softmax_vjp(p, cot, vjp)
            for m in range(models - 1):
                M = table[m]
                softmax_errors(M, d, p, log_p, row, log, T_softmax, T_lsm, G0)
                if with_vjp and log:
                    log_softmax_vjp_bound(M, p, log_p, v[b, n], G0, bound)
                elif with_vjp:
                    softmax_vjp_bound(M, p, v[b, n], T_softmax, bound)
                errors = T_lsm if log else T_softmax
                if m == 0:
                    for j in range(k):
                        radius[j] = rounded_up(M, errors[j])
                        vjp_radius[j] = rounded_up(M, bound[j])
                    continue
                rho = confidence(M, d, p, row, False)
                confident = rho > 0
                if confident:
                    rho += relative_error(table[models - 1], d, p, row[LOG_S], False)
                if confident and with_vjp:
                    if log:
                        small_vjp(p, log_p, v[b, n], 1.0, int(row[FIRST]), exact, size)
                    else:
                        small_softmax_vjp(p, log_p, v[b, n], int(row[FIRST]), exact, size)
                for t in range(targets):
                    if not asked[t, m]:
                        continue
                    s, graded = summary[t, 0, b, m], confident and declared[t] == m
                    for j in range(k if with_value else 0):
                        got = values[t, b, n, j]
                        if x[b, n, j] == -np.inf:
                            if log:
                                compare_infinite(s, n * k + j, got, -np.inf)
                            else:
                                compare_entry(s, n * k + j, got, 0.0, 0.0, 0.0, 0.0, fmt)
                            continue
                        allowed = rounded_up(M, errors[j])
                        compare_entry(s, n * k + j, got, result[j], result_low[j], radius[j], allowed, fmt)
                        if graded and log:
                            grade(s, M, got, log_p[j], abs(log_p[j]) * rho, allowed)
                    if not with_vjp:
                        continue
                    s = summary[t, 1, b, m]
                    for j in range(k):
                        got = vjps[t, b, n, j]
                        if not log and x[b, n, j] == -np.inf:
                            compare_entry(s, n * k + j, got, 0.0, 0.0, 0.0, 0.0, fmt)
                            continue
                        allowed = rounded_up(M, bound[j])
                        compare_entry(s, n * k + j, got, vjp[j], vjp_low[j], vjp_radius[j], allowed, fmt)
                        if graded:
                            grade(s, M, got, exact[j], size[j] * rho, allowed)
