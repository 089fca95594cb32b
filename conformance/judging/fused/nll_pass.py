"""The pass over nll_loss: every row of every problem, judged for every target."""

from __future__ import annotations

import math
from typing import Any

from lossproof.judging.fused import double_double_scalars as dd
from lossproof.judging.fused.comparisons import compare_loss, compare_row_apart
from lossproof.judging.fused.compiler import loop
from lossproof.judging.fused.cross_entropy_rows import HARD, MEAN, NONE
from lossproof.judging.fused.entries import compare_entry, rounded_up
from lossproof.judging.fused.machine_code import BOOL, F8, I8
from lossproof.judging.fused.model_table import MODEL
from lossproof.judging.fused.reductions import judge_reduced
from lossproof.judging.fused.special_rows import clause_of, row_kind
from lossproof.truth.expected import NAN
from lossproof.truth.row_quantities import MASKED, ONE_POS


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
    (I8, 1),
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
    declared: Any,
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
    T_rows, none_confident = block[5, :models], block[6, :models]
    none_confident[:] = 0.0
    for b in range(b_all):
        T_rows[:] = 0.0
        S_rows, losses, total, total_low, W, W_low = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        # What is no number of the rows' losses, and what is accepted in place of their sum.
        special_total, accept_total, clause_total = 0.0, 0, 0
        for n in range(n_all):
            W, W_low = dd.add(W, W_low, counted[b, n], 0.0)
        for n in range(n_all):
            is_kept, label = kept[b, n], y[b, n]
            if not is_kept:
                kind, with_row = row_kind(x[b, n]) if with_vjp else MASKED, with_value and reduction == NONE
                compare_row_apart(asked, summary, b, n, with_row, values, with_vjp, vjps, kind, False, fmt)
                continue
            w_y = w[b, label] if weighted else 1.0
            # What is beside the label is no matter.
            picked, size, limit, kind, accept = x[b, n, label], abs(w_y), 0.0, MASKED, 0
            if not math.isfinite(picked):
                limit = -w_y * picked
                if w_y == 0 and picked == picked:
                    # Infinity times nothing may be NaN or nothing (clause 6), and is 0 beside +inf and NaN (clause 4).
                    limit, accept = 0.0, NAN
                    kind = ONE_POS if row_kind(x[b, n]) >= ONE_POS else MASKED
                picked = 0.0
            clause = clause_of(kind, accept)
            special_total += limit
            accept_total, clause_total = accept_total | accept, max(clause_total, clause)
            loss = -w_y * picked
            S_rows += abs(loss)
            g = abs(row_scale[b, n])
            if not S_rows < fmt[4]:
                regular[:, b] = False
                break
            if not g * max(1.0, size) < fmt[4]:
                regular[1, b] = False
            result, result_low = loss, 0.0
            slope, slope_low = -row_scale[b, n] * w_y, 0.0
            if twice:
                result, result_low = dd.multiply(-w_y, 0.0, picked, 0.0)
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
                        s, got = summary[t, 0, b, m], values[t, b, n]
                        compare_loss(s, n, got, limit, kind, result, result_low, row_radius, T_row, fmt, accept, clause)
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
        if twice and reduction == MEAN:
            total, total_low = dd.divide_scalars(total, total_low, W, W_low)
        elif not twice:
            total = losses / denominator[b] if reduction == MEAN else losses
        of_rows = T_rows, S_rows, losses, 0.0, none_confident, none_confident, denominator[b], rho
        whole = total, total_low, special_total, accept_total, clause_total
        judge_reduced(HARD, reduction, table, b, asked, declared, values, *whole, *of_rows, summary, fmt)
