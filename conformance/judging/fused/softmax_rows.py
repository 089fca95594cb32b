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
def add_products(size: int, p: Any, v: Any, total: float) -> float:
    """``total`` and ``<p, v>`` of a window."""
    for j in range(size):
        total += p[j] * v[j]
    return total


@compiled
def add_entries(v: Any, total: float, sizes: float, some: float) -> tuple[float, float, float]:
    """``total`` and ``sum v`` of a window, ``sizes`` and the sum of magnitudes, ``some`` and how many are not 0."""
    for j in range(v.shape[0]):
        total += v[j]
        sizes += abs(v[j])
        some += v[j] != 0
    return total, sizes, some


@compiled
def softmax_vjp(p: Any, v: Any, inner: float, out: Any) -> None:
    """``p o (v - <p, v>)``, of a window; ``inner`` is that of the row."""
    for j in range(v.shape[0]):
        out[j] = p[j] * (v[j] - inner)


@compiled
def add_products_twice(p: Any, p_low: Any, v: Any, s: float, s_low: float) -> tuple[float, float]:
    """``s`` and ``<p, v>`` of a window in double-double."""
    for j in range(v.shape[0]):
        a, a_low = dd.multiply(p[j], p_low[j], v[j], 0.0)
        s, s_low = dd.add(s, s_low, a, a_low)
    return s, s_low


@compiled
def softmax_vjp_twice(p: Any, p_low: Any, v: Any, s: float, s_low: float, out: Any, out_low: Any) -> None:
    """``p o (v - <p, v>)`` in double-double, of a window; ``s`` is the inner product of the row."""
    for j in range(v.shape[0]):
        a, a_low = dd.add(v[j], 0.0, -s, -s_low)
        out[j], out_low[j] = dd.multiply(p[j], p_low[j], a, a_low)


@compiled
def log_softmax_vjp(p: Any, v: Any, total: float, out: Any) -> None:
    """``v - p sum v``, of a window; ``total`` is the sum of the row."""
    for j in range(v.shape[0]):
        out[j] = v[j] - p[j] * total


@compiled
def add_entries_twice(v: Any, s: float, s_low: float) -> tuple[float, float]:
    """``s`` and ``sum v`` of a window in double-double."""
    for j in range(v.shape[0]):
        s, s_low = dd.add(s, s_low, v[j], 0.0)
    return s, s_low


@compiled
def log_softmax_vjp_twice(p: Any, p_low: Any, v: Any, s: float, s_low: float, out: Any, out_low: Any) -> None:
    """``v - p sum v`` in double-double, of a window; ``s`` is the sum of the row."""
    for j in range(v.shape[0]):
        a, a_low = dd.multiply(p[j], p_low[j], s, s_low)
        out[j], out_low[j] = dd.add(v[j], 0.0, -a, -a_low)


@compiled
def add_vjp_errors(M: Any, p: Any, v: Any, P: Any, D: float, E: float, weighted: float) -> tuple[float, float, float]:
    """Add a window to ``<p, v>``, to its error ``<P, |v|>``, where that of p is ``P``, and to the magnitudes that its
    roundings have."""
    for j in range(v.shape[0]):
        size = abs(v[j])
        if p[j] >= M.least:
            D += p[j] * v[j]
        E += P[j] * size
        weighted += (p[j] + P[j]) * size
    return D, E, weighted


@compiled
def softmax_vjp_bound(
    M: Any, p: Any, v: Any, P: Any, D: float, E: float, weighted: float, some: float, out: Any
) -> None:
    """The error of the VJP of softmax in a window, where that of p is ``P`` (docs/bounds.md, section 6). ``some`` are
    the entries of v that are not 0; see ``add_vjp_errors``."""
    # (A3): the products p_j v_j underflow.
    E = E + M.of_inner * weighted + M.tau_i * some
    k = 6 * M.u_s + (4 * M.u_o if M.narrow else M.u_o if M.sixteen else 0.0)
    for j in range(v.shape[0]):
        spread, most = abs(v[j]) + abs(D) + E, p[j] + P[j]
        out[j] = P[j] * abs(v[j] - D) + most * E + k * most * spread + M.tau * (1 + spread)


@compiled
def log_softmax_vjp_bound(M: Any, p: Any, log_p: Any, v: Any, G0: Any, total: float, sizes: float, out: Any) -> None:
    """The error of the VJP of log-softmax in a window (docs/bounds.md, section 6); ``total`` and ``sizes`` are the sums
    of v and of its magnitudes in the row."""
    V, extra = abs(total), 2 * M.L_o if M.narrow else 0.0
    e_V = M.of_total * sizes
    k = 3 * M.u_i + (M.u_o if M.sixteen else 0.0)
    for j in range(v.shape[0]):
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
def add_other_products(p: Any, v: Any, top: int, total: float, total_size: float) -> tuple[float, float]:
    """``total`` and ``<p, v>`` of a window without the likeliest class, which is at ``top`` if it is there; and of
    magnitudes."""
    for j in range(v.shape[0]):
        if j != top:
            total += p[j] * v[j]
            total_size += p[j] * abs(v[j])
    return total, total_size


@compiled
def small_softmax_vjp(
    p: Any, log_p: Any, v: Any, top: int, first: float, total: float, total_size: float, exact: Any, size: Any
) -> None:
    """The VJP of softmax in a window without cancellation, and its sum of magnitudes (section 9). ``first`` is
    ``p v`` of the likeliest class, the totals are those of all others."""
    first_size = abs(first)
    for j in range(v.shape[0]):
        own, others, others_size = v[j] * -math.expm1(log_p[j]), total, total_size
        if j != top:
            others = first + (total - p[j] * v[j])
            others_size = first_size + (total_size - p[j] * abs(v[j]))
        exact[j], size[j] = p[j] * (own - others), p[j] * (abs(own) + others_size)


@compiled
def add_others(count: int, a: Any, top: int, total: float, total_size: float) -> tuple[float, float]:
    """``total`` and ``sum a`` of a window without the likeliest class, which is at ``top`` if it is there; and of
    magnitudes."""
    for j in range(count):
        if j != top:
            total += a[j]
            total_size += abs(a[j])
    return total, total_size


@compiled
def small_vjp(
    count: int,
    p: Any,
    log_p: Any,
    a: Any,
    g: float,
    top: int,
    first: float,
    total: float,
    total_size: float,
    exact: Any,
    size: Any,
) -> None:
    """``g (a - p sum a)`` in a window without cancellation, and its sum of magnitudes (section 9): the VJP of
    log-softmax, where g is 1, and with a = -c that of the cross-entropy. ``first`` is a of the likeliest class, the
    totals are those of all others."""
    for j in range(count):
        rest, others, others_size = -math.expm1(log_p[j]), total, total_size
        if j != top:
            others = first + (total - a[j])
            others_size = abs(first) + (total_size - abs(a[j]))
        exact[j] = g * (a[j] * rest - p[j] * others)
        size[j] = abs(g) * (abs(a[j]) * rest + p[j] * others_size)
