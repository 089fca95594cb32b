"""Bounds of softmax, log-softmax and their derivatives; the steps are derived in docs/bounds.md."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lossproof.core.batch import Batch
from lossproof.core.formats import F64
from lossproof.truth.bounds.error_model import DIV_ULP, EXP_ULP, LOG_ULP, Model, log_loss, t
from lossproof.truth.row_quantities import Rows

EXP_CAP = 700.0


def expm1(a: F64 | float) -> F64:
    """exp(a) - 1, capped where it could only say that nothing is promised."""
    return np.expm1(np.minimum(a, EXP_CAP))


@dataclass(frozen=True)
class SoftmaxTerms:
    """Log-domain errors of softmax and log-softmax. Shapes (B, N, K)."""

    A: F64
    T_p: F64
    T_y: F64
    G0: F64
    pe: F64  # p exp(G0)


def exp_error(m: Model) -> float:
    """Largest |log| of a computed exponential over the exact one of the same argument."""
    return log_loss(2 * EXP_ULP * m.u_s) + (log_loss(m.u_o) if m.narrow else 0.0)


def softmax_terms(rows: Rows, m: Model, h: float, growth: F64 | float) -> SoftmaxTerms:
    """Errors shared by all outputs. ``h`` counts the roundings of the sum, ``growth`` those of rescaling."""
    d, y = np.abs(rows.d), rows.y
    e_exp = exp_error(m)
    a = m.c_d * t(m.u_i) * d
    present = ~rows.absent
    # log(sum p exp(a)) as log1p(sum p (exp(a) - 1)): the plain form would carry float64's own roundoff.
    A_s = np.log1p(np.sum(p_expm1(rows, a), axis=-1, keepdims=True)) + e_exp
    # Exponentials that underflow lose tau_i each: in float16 N as much as the sum's own roundings.
    fading = np.sum(present & (d > -np.log(2.0 * m.tau_i / m.u_i)), axis=-1, keepdims=True)
    lost = fading * m.tau_i * np.exp(A_s - rows.log_s)
    A_s = A_s - np.log1p(-np.minimum(lost, 1.0)) + h * t(m.u_s) + growth
    A = a + e_exp + A_s + (0.0 if m.narrow else DIV_ULP * t(m.u_i))
    if m.narrow:
        A_s = A_s + log_loss(m.u_o)
        A = A + 2 * log_loss(m.u_o)
    elif m.sixteen:
        A = A + log_loss(m.u_o)
    T_p = p_expm1(rows, A) + m.tau
    lam = 2 * LOG_ULP * m.u_s + (m.u_o if m.narrow else 0.0)
    C = m.u_i * d + A_s + lam * (rows.log_s + A_s)
    T_y = C * (1 + m.u_i) + m.u_i * np.abs(y) + m.tau
    if m.sixteen and not m.narrow:
        T_y = T_y + m.u_o * (np.abs(y) + C)
    again = (m.c_d - 1) * t(m.u_i)  # not times (|y| + T_y): that sum may overflow where the product does not
    G0 = np.maximum(A, T_y + e_exp + again * np.abs(y) + again * T_y)
    pe = np.where(present, np.exp(np.minimum(y + G0, EXP_CAP)), 0.0)
    return SoftmaxTerms(A, T_p, T_y, G0, pe)


def rescalings(batch: Batch, rows: Rows) -> F64:
    """Increases of the running maximum in class order, an upper bound for any block size in that order."""
    d = np.where(rows.absent, -np.inf, rows.d)
    running = np.maximum.accumulate(d, axis=-1)
    return np.sum(running[..., 1:] > running[..., :-1], axis=-1, keepdims=True).astype(np.float64)


def tangent_softmax(rows: Rows, m: Model, v: F64, P: F64, h: float) -> F64:
    """Error of ``p o (v - <p, v>)``, the VJP and the JVP of softmax; ``P`` is the error of p."""
    signed, p = v, rows.p
    v = np.abs(v)
    D = np.sum(p * signed, axis=-1, keepdims=True)
    beta = np.expm1((h + 2) * t(m.u_s) + (2 * m.u_o if m.narrow else 0.0))
    E = np.sum(P * v, -1, keepdims=True) + beta * np.sum((p + P) * v, -1, keepdims=True)
    E = E + m.tau_i * np.sum(v != 0, -1, keepdims=True)
    k = 6 * m.u_s + (4 * m.u_o if m.narrow else m.u_o if m.sixteen else 0.0)
    spread = v + np.abs(D) + E
    return P * np.abs(signed - D) + (p + P) * E + k * (p + P) * spread + m.tau * (1 + spread)


def vjp_log_softmax(rows: Rows, m: Model, cot: F64, terms: SoftmaxTerms, h: float) -> F64:
    """Error of ``v - p sum v``."""
    v = np.abs(cot)
    V = np.abs(np.sum(cot, axis=-1, keepdims=True))
    extra = 2 * log_loss(m.u_o) if m.narrow else 0.0
    G = terms.G0 + extra
    pe = terms.pe * np.exp(extra)
    e_v = np.expm1(h * t(m.u_s) + extra) * np.sum(v, -1, keepdims=True)
    inner = V * p_expm1(rows, G) + pe * e_v
    k = 3 * m.u_i + (m.u_o if m.sixteen else 0.0)
    return inner + k * (v + pe * (V + e_v)) + m.tau * (2 + V + e_v)


def p_expm1(rows: Rows, G: F64) -> F64:
    """``p (exp(G) - 1)`` without overflow, also where p has underflowed."""
    big = np.exp(np.minimum(rows.y + G, EXP_CAP)) - rows.p
    return np.where(rows.absent, 0.0, np.where(G < 1.0, rows.p * expm1(G), np.maximum(big, 0.0)))


def jvp_log_softmax(rows: Rows, m: Model, v: F64, terms: SoftmaxTerms, h: float) -> F64:
    """Error of ``v - <p, v>``."""
    P = p_expm1(rows, terms.G0) + m.tau
    D = np.abs(np.sum(rows.p * v, axis=-1, keepdims=True))
    size = np.abs(v)
    beta = np.expm1(h * t(m.u_s) + (2 * m.u_o if m.narrow else 0.0))
    E = np.sum(P * size, -1, keepdims=True) + beta * np.sum((rows.p + P) * size, -1, keepdims=True)
    E = E + m.tau_i * np.sum(size != 0, -1, keepdims=True)
    k = 2 * m.u_i + (2 * m.u_o if m.narrow else m.u_o if m.sixteen else 0.0)
    return E + k * (size + D + E) + m.tau


def hvp_log_softmax(rows: Rows, m: Model, cot: F64, v: F64, terms: SoftmaxTerms, h: float) -> F64:
    """Error of ``-(sum c) p o (v - <p, v>)``."""
    T = tangent_softmax(rows, m, v, p_expm1(rows, terms.G0) + m.tau, h)
    D = np.sum(rows.p * v, axis=-1, keepdims=True)
    Z = np.abs(rows.p * (v - D))
    V = np.abs(cot.sum(-1, keepdims=True))
    e_v = np.expm1(h * t(m.u_s) + (2 * log_loss(m.u_o) if m.narrow else 0.0)) * np.abs(cot).sum(-1, keepdims=True)
    k = 4 * m.u_i + (m.u_o if m.sixteen else 0.0)
    inner = V * T + e_v * (Z + T)
    return inner + k * (V * Z + inner) + m.tau * (1 + V + e_v + np.abs(v) + np.abs(D))
