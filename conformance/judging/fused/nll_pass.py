"""The pass over nll_loss: every row of every problem, judged for every target."""

from __future__ import annotations

import math
from typing import Any

from lossproof.judging.fused import double_double_scalars as dd
from lossproof.judging.fused.compiler import loop
from lossproof.judging.fused.cross_entropy_rows import MEAN, NONE, reduced_error
from lossproof.judging.fused.entries import compare_entry, is_masked_or_finite, rounded_up
from lossproof.judging.fused.machine_code import BOOL, F8, I8
from lossproof.judging.fused.model_table import MODEL


@loop(
    int,
    bool,
    bool,
    (MODEL, 1),
    (F8, 1),
    (F8, 3),
    (I8, 2),
    (F8, 2),
    (BOOL, 2),
    (F8, 2),
    (F8, 2),
    (F8, 2),
    (F8, 1),
    (F8, 2),
    (F8, 3),
    (F8, 4),
    (BOOL, 2),
    (F8, 2),
    (F8, 5),
    (BOOL, 2),
)
def judge_nll_rows(
    reduction: int,
    weighted: bool,
    twice: bool,
    table: Any,
    fmt: Any,
    x: Any,
    y: Any,
    w: Any,
    kept: Any,
    counted: Any,
    cot: Any,
    row_scale: Any,
    denominator: Any,
    rho: Any,
    values: Any,
    vjps: Any,
    asked: Any,
    block: Any,
    summary: Any,
    regular: Any,
) -> None:
    """Fill in the summaries of all problems, and say which of them are regular.

    The arguments are those of ``cross_entropy_pass.judge_cross_entropy_rows``; docs/bounds.md, sections 5 and 6.
    """
    b_all, n_all, k = x.shape
    targets, models = asked.shape
    with_value, with_vjp = values.shape[0] > 0, cot.shape[0] > 0 and vjps.shape[0] > 0
    T_rows = block[5, :models]
    for b in range(b_all):
        T_rows[:] = 0.0
        S_rows, losses, total, total_low, W, W_low = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for n in range(n_all):
            W, W_low = dd.add(W, W_low, counted[b, n], 0.0)
        for n in range(n_all):
            is_kept, label = kept[b, n], y[b, n]
            # What is beside the label is no matter in a kept row, and the label none in another.
            if not (math.isfinite(x[b, n, label]) if is_kept else is_masked_or_finite(x[b, n])):
                regular[:, b] = False
                break
            w_y = 0.0 if not is_kept else w[b, label] if weighted else 1.0
            size = abs(w_y)
            loss = -w_y * x[b, n, label] if is_kept else 0.0
            S_rows += abs(loss)
            g = abs(row_scale[b, n])
            if not S_rows < fmt[4]:
                regular[:, b] = False
                break
            if not g * max(1.0, size) < fmt[4]:
                regular[1, b] = False
            result, result_low = loss, 0.0
            slope, slope_low = -row_scale[b, n] * w_y, 0.0
            if twice and is_kept:
                result, result_low = dd.multiply(-w_y, 0.0, x[b, n, label], 0.0)
                if with_vjp:
                    slope, slope_low = cot[b, n if reduction == NONE else 0], 0.0
                    if reduction == MEAN:
                        slope, slope_low = dd.divide_scalars(slope, 0.0, W, W_low)
                    slope, slope_low = dd.multiply(slope, slope_low, -w_y, 0.0)
            if twice:
                total, total_low = dd.add(total, total_low, result, result_low)
            losses += loss
            row_radius, radius = 0.0, 0.0
            for m in range(models - 1):
                M = table[m]
                T_row, bound = 0.0, 0.0
                if is_kept:
                    u = M.u_o if M.sixteen else M.u_s
                    # (A10): a log-probability may be flushed before the weight scales it.
                    T_row = u * abs(loss) + M.tau * (1 + size) if weighted else M.tau
                    # (A5): the reciprocal of the denominator multiplies.
                    r = (rho[m, b] / (1 - rho[m, b]) + 4 * M.u_s if reduction == MEAN else 0.0) + M.unscaled
                    bound = g * size * r + M.tau * (1 + g + size)
                T_rows[m] += T_row
                T_row, bound = rounded_up(M, T_row), rounded_up(M, bound)
                if m == 0:
                    row_radius, radius = T_row, bound
                    continue
                for t in range(targets):
                    if not asked[t, m]:
                        continue
                    if reduction == NONE and with_value:
                        compare_entry(
                            summary[t, 0, b, m], n, values[t, b, n], result, result_low, row_radius, T_row, fmt
                        )
                    if not with_vjp:
                        continue
                    # The loss does not depend on the other entries (specification, section 3).
                    for j in range(k):
                        got = vjps[t, b, n, j]
                        if j == label and w_y != 0:
                            compare_entry(summary[t, 1, b, m], n * k + j, got, slope, slope_low, radius, bound, fmt)
                        else:
                            compare_entry(summary[t, 1, b, m], n * k + j, got, 0.0, 0.0, 0.0, 0.0, fmt)
        if reduction == NONE or not with_value or not regular[0, b]:
            continue
        if not twice:
            total = losses / denominator[b] if reduction == MEAN else losses
        elif reduction == MEAN:
            total, total_low = dd.divide_scalars(total, total_low, W, W_low)
        total_radius = 0.0
        for m in range(models - 1):
            M = table[m]
            T = rounded_up(M, reduced_error(M, reduction, M.h_n, T_rows[m], S_rows, losses, denominator[b], rho[m, b]))
            if m == 0:
                total_radius = T
                continue
            for t in range(targets):
                if asked[t, m]:
                    compare_entry(summary[t, 0, b, m], 0, values[t, b, 0], total, total_low, total_radius, T, fmt)
