"""Softmax and log-softmax of one row: results, bounds and small results of the value and the VJP, entry by entry.

As ``truth.oracle.formulas``, ``truth.bounds.allowed`` and ``truth.tail`` have them, with the same letters.
"""

from __future__ import annotations

import math
from typing import Any

from lossproof.judging.fused import double_double_scalars as dd
from lossproof.judging.fused.compiler import compiled
from lossproof.judging.fused.entries import is_nothing, largest_probability, probability_error


@compiled
def softmax_vjp(p: Any, v: Any, out: Any) -> None:
    """``p o (v - <p, v>)``."""
    inner = 0.0
    for j in range(p.shape[0]):
        inner += p[j] * v[j]
    for j in range(p.shape[0]):
        out[j] = p[j] * (v[j] - inner)


@compiled
def softmax_vjp_twice(p: Any, p_low: Any, v: Any, out: Any, out_low: Any) -> None:
    """``p o (v - <p, v>)`` in double-double."""
    s, s_low = 0.0, 0.0
    for j in range(p.shape[0]):
        a, a_low = dd.multiply(p[j], p_low[j], v[j], 0.0)
        s, s_low = dd.add(s, s_low, a, a_low)
    for j in range(p.shape[0]):
        a, a_low = dd.add(v[j], 0.0, -s, -s_low)
        out[j], out_low[j] = dd.multiply(p[j], p_low[j], a, a_low)


@compiled
def log_softmax_vjp(p: Any, v: Any, out: Any) -> None:
    """``v - p sum v``."""
    total = 0.0
    for j in range(p.shape[0]):
        total += v[j]
    for j in range(p.shape[0]):
        out[j] = v[j] - p[j] * total


@compiled
def log_softmax_vjp_twice(p: Any, p_low: Any, v: Any, out: Any, out_low: Any) -> None:
    """``v - p sum v`` in double-double."""
    s, s_low = 0.0, 0.0
    for j in range(p.shape[0]):
        s, s_low = dd.add(s, s_low, v[j], 0.0)
    for j in range(p.shape[0]):
        a, a_low = dd.multiply(p[j], p_low[j], s, s_low)
        out[j], out_low[j] = dd.add(v[j], 0.0, -a, -a_low)


@compiled
def softmax_vjp_bound(M: Any, p: Any, v: Any, P: Any, out: Any) -> None:
    """The error of the VJP of softmax, where that of p is ``P`` (docs/bounds.md, section 6)."""
    D, E, weighted, some = 0.0, 0.0, 0.0, 0
    for j in range(p.shape[0]):
        size = abs(v[j])
        if p[j] >= M.least:
            D += p[j] * v[j]
        E += P[j] * size
        weighted += (p[j] + P[j]) * size
        some += v[j] != 0
    # (A3): the products p_j v_j underflow.
    E = E + M.of_inner * weighted + M.tau_i * some
    k = 6 * M.u_s + (4 * M.u_o if M.narrow else M.u_o if M.sixteen else 0.0)
    for j in range(p.shape[0]):
        spread, most = abs(v[j]) + abs(D) + E, p[j] + P[j]
        out[j] = P[j] * abs(v[j] - D) + most * E + k * most * spread + M.tau * (1 + spread)


@compiled
def log_softmax_vjp_bound(M: Any, p: Any, log_p: Any, v: Any, G0: Any, out: Any) -> None:
    """The error of the VJP of log-softmax (docs/bounds.md, section 6)."""
    total, sizes = 0.0, 0.0
    for j in range(p.shape[0]):
        total += v[j]
        sizes += abs(v[j])
    V, extra = abs(total), 2 * M.L_o if M.narrow else 0.0
    e_V = M.of_total * sizes
    k = 3 * M.u_i + (M.u_o if M.sixteen else 0.0)
    for j in range(p.shape[0]):
        error, p_exp_G = 0.0, 0.0
        if not is_nothing(M, p[j], log_p[j], G0[j] + extra):
            error = probability_error(p[j], log_p[j], G0[j])
            p_exp_G = largest_probability(p[j], log_p[j], G0[j], error) * M.of_log
            if extra > 0:
                error = probability_error(p[j], log_p[j], G0[j] + extra)
        inner = V * error + p_exp_G * e_V
        # (A4): where sum v cancels, what an underflowed p multiplies is its error e_V.
        out[j] = inner + k * (abs(v[j]) + p_exp_G * (V + e_V)) + M.tau * (2 + V + e_V)


@compiled
def small_softmax_vjp(p: Any, log_p: Any, v: Any, top: int, exact: Any, size: Any) -> None:
    """The VJP of softmax without cancellation, and its sum of magnitudes (section 9)."""
    total, total_size = 0.0, 0.0
    for j in range(p.shape[0]):
        if j != top:
            total += p[j] * v[j]
            total_size += p[j] * abs(v[j])
    first, first_size = p[top] * v[top], p[top] * abs(v[top])
    for j in range(p.shape[0]):
        own, others, others_size = v[j] * -math.expm1(log_p[j]), total, total_size
        if j != top:
            others = first + (total - p[j] * v[j])
            others_size = first_size + (total_size - p[j] * abs(v[j]))
        exact[j], size[j] = p[j] * (own - others), p[j] * (abs(own) + others_size)


@compiled
def small_vjp(p: Any, log_p: Any, a: Any, g: float, top: int, exact: Any, size: Any) -> None:
    """``g (a - p sum a)`` without cancellation, and its sum of magnitudes (section 9): the VJP of log-softmax, where g
    is 1, and with a = -c that of the cross-entropy."""
    total, total_size = 0.0, 0.0
    for j in range(p.shape[0]):
        if j != top:
            total += a[j]
            total_size += abs(a[j])
    for j in range(p.shape[0]):
        rest, others, others_size = -math.expm1(log_p[j]), total, total_size
        if j != top:
            others = a[top] + (total - a[j])
            others_size = abs(a[top]) + (total_size - abs(a[j]))
        exact[j] = g * (a[j] * rest - p[j] * others)
        size[j] = abs(g) * (abs(a[j]) * rest + p[j] * others_size)
