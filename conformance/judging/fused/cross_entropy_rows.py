"""The cross-entropy of one row: its coefficients, results and bounds, of the loss and of the logit gradient.

As ``truth.row_quantities``, ``truth.oracle.formulas`` and ``truth.bounds.losses`` have them, with the same letters.
"""

from __future__ import annotations

from typing import Any

from lossproof.judging.fused import double_double_scalars as dd
from lossproof.judging.fused.compiler import compiled
from lossproof.judging.fused.entries import is_nothing, largest_probability, probability_error

# Kinds of targets: one class, probabilities, either of them smoothed.
HARD, SOFT, SMOOTHED = range(3)
# Reductions.
NONE, SUM, MEAN = range(3)
# Fields of what a row's sums hold: Q, sum |c|, l, S, the used classes, F, and the weights of these.
Q, QA, LOSS, S, USED, F, W_USED = range(7)
SUMS = 7


@compiled
def coefficients(
    size: int, label: int, q: Any, w: Any, eps: float, share: float, c: Any, c_size: Any, q_size: Any
) -> None:
    """Fill in ``c = w q'`` of a window of a kept row, the magnitudes that its roundings have (A8), and those of q'.

    ``label`` is the place of the label, in or out of the window; ``q`` has no entries where there are labels. ``share``
    is ``eps / K``.
    """
    for j in range(size):
        target = q[j] if q.shape[0] else 1.0 if j == label else 0.0
        c[j] = w[j] * ((1.0 - eps) * target + share)
        q_size[j] = (1.0 - eps) * abs(target) + share
        c_size[j] = abs(w[j]) * q_size[j]


@compiled
def coefficients_twice(
    size: int, label: int, q: Any, w: Any, eps: float, k: int, smoothed: bool, c: Any, c_low: Any
) -> None:
    """``c = w q'`` of a window in double-double, of K classes."""
    left, left_low = dd.add(1.0, 0.0, -eps, 0.0)
    share, share_low = dd.divide_scalars(eps, 0.0, float(k), 0.0)
    for j in range(size):
        target = q[j] if q.shape[0] else 1.0 if j == label else 0.0
        a, a_low = target, 0.0
        if smoothed:
            a, a_low = dd.multiply(left, left_low, target, 0.0)
            a, a_low = dd.add(a, a_low, share, share_low)
        c[j], c_low[j] = dd.multiply(w[j], 0.0, a, a_low)


@compiled
def negate(size: int, c: Any, minus_c: Any) -> None:
    """Fill in -c of a window."""
    for j in range(size):
        minus_c[j] = -c[j]


@compiled
def add_sums(size: int, w: Any, c: Any, c_size: Any, q_size: Any, log_p: Any, row: Any) -> None:
    """Add a window to what the loss of a kept row and its bounds sum over the classes."""
    for j in range(size):
        row[Q] += c[j]
        row[QA] += c_size[j]
        if c[j] != 0:
            row[LOSS] -= c[j] * log_p[j]
        if c_size[j] != 0:
            row[S] += c_size[j] * abs(log_p[j])
            row[USED] += 1.0
            row[W_USED] += abs(w[j])
        row[F] += _lost(w[j], c_size[j], q_size[j])


@compiled
def second_sums(both: Any) -> None:
    """Fill in, beside a row's sums, those for the second gradient that section 3 of the specification accepts,
    ``g (p - c)``."""
    for i in range(SUMS):
        both[1, i] = both[0, i]
    both[1, Q], both[1, QA] = 1.0, max(1.0, both[0, QA])


@compiled
def gradient_twice(
    g: float, g_low: float, Q: float, Q_low: float, p: float, p_low: float, c: float, c_low: float
) -> tuple[float, float]:
    """``g (Q p - c)`` in double-double."""
    a, a_low = dd.multiply(Q, Q_low, p, p_low)
    a, a_low = dd.add(a, a_low, -c, -c_low)
    return dd.multiply(g, g_low, a, a_low)


@compiled
def _lost(w: float, c_size: float, q_size: float) -> float:
    """f of section 6: products inside Q and c_j that may underflow, times the factors that follow."""
    return 2 + (1 + abs(w) + q_size if c_size != 0 else 0.0)


@compiled
def add_row_errors(
    M: Any, size: int, w: Any, c_size: Any, q_size: Any, log_p: Any, T_lsm: Any, ST: float, lost: float
) -> tuple[float, float]:
    """Add a window to ``sum |c_j| T_lsm_j`` and to what underflows in a kept row."""
    for j in range(size):
        if c_size[j] != 0:
            ST += c_size[j] * T_lsm[j]
            lost += (M.tau * abs(log_p[j])) * (2 + abs(w[j]) + q_size[j])
    return ST, lost


@compiled
def row_error(M: Any, kind: int, ST: float, lost: float, row: Any) -> float:
    """T_row, the error of the loss of a kept row (docs/bounds.md, section 5)."""
    of_products = M.of_hard if kind == HARD else M.of_soft if kind == SOFT else M.of_smoothed
    return ST + of_products * (row[S] + ST) + M.tau * (1 + row[USED]) + lost


@compiled
def gradient_bound(
    formula: int,
    M: Any,
    kind: int,
    reduction: int,
    weighted: bool,
    size: int,
    w: Any,
    c: Any,
    c_size: Any,
    q_size: Any,
    p: Any,
    log_p: Any,
    G0: Any,
    both: Any,
    scale: float,
    denominator: float,
    rho: float,
    out: Any,
) -> None:
    """The error of ``g (Q p - c)`` in a window of a kept row, T_grad of docs/bounds.md, section 6.

    ``both`` are the sums for each formula; after the second one ``out`` has the larger error of both.
    """
    row = both[formula]
    of_Q = (M.Q_hard if kind == HARD else M.Q_smoothed if kind == SMOOTHED else M.Q_soft) * row[QA]
    of_c = 0.0 if kind == HARD else M.c_smoothed if kind == SMOOTHED else M.c_soft
    # (A5): the reciprocal of the denominator multiplies.
    r = (rho / (1 - rho) + 4 * M.u_s if reduction == MEAN else 0.0) + M.unscaled
    g, W, Q_size = abs(scale), abs(denominator), abs(row[Q])
    per = 1 / ((1 - rho) * W) if W > 0 else 0.0
    for j in range(size):
        p_j, error, p_exp_G0 = 0.0, 0.0, 0.0
        if not is_nothing(M, p[j], log_p[j], G0[j]):
            p_j, error = p[j], probability_error(p[j], log_p[j], G0[j])
            p_exp_G0 = largest_probability(p[j], log_p[j], G0[j], error)
        inner = Q_size * error + p_exp_G0 * of_Q + of_c * c_size[j]
        unscaled = abs(row[Q] * p_j - c[j]) + inner
        bound = g * (inner + r * unscaled + M.tau * (row[QA] + _lost(w[j], c_size[j], q_size[j]) + p_j * row[F]))
        used = c_size[j] != 0
        outer = 1.0 + (used + p_exp_G0 * row[USED] if M.narrow else 0.0)
        bound = bound + M.tau * outer
        if reduction == MEAN:
            # (A7): the quotient g = cotangent / denominator may itself underflow.
            bound = bound + M.tau_i * unscaled
        if weighted and kind != HARD:
            # (A9): g eps / K (or g q) may underflow before the weight scales it, and (A11) under a mean the cotangent's
            # share before the denominator divides it.
            lost = (abs(w[j]) if used else 0.0) + p_exp_G0 * row[W_USED]
            bound = bound + M.tau_i * lost
            if reduction == MEAN:
                bound = bound + M.tau_i * per * lost
        # What is no number stays so: it is infinite.
        if formula == 0 or (out[j] == out[j] and not bound <= out[j]):
            out[j] = bound
