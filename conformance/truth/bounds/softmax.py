"""Bounds of softmax, log-softmax and their derivatives: docs/bounds.md, sections 3, 4 and 6, in its letters.

Everything is elementwise, in the batch's layout: (B, N, K) for entries, (B, N, 1) for what a row shares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lossproof.core.batch import Batch
from lossproof.core.formats import F64
from lossproof.truth.bounds.error_model import Model, log_loss, t
from lossproof.truth.row_quantities import Rows

EXP_CAP = 700.0
# Section 3, products with a factor: beyond it a fused difference over- or underflows by itself.
FUSED = 64.0
# A quotient of a term and a sum that contains it, or exp of a number that is not above 0, stays below.
_OF_ONE = 2.0


def expm1(a: F64 | float) -> F64:
    """exp(a) - 1, capped where it could only say that nothing is promised."""
    return np.expm1(np.minimum(a, EXP_CAP))


@dataclass(frozen=True)
class SoftmaxTerms:
    """The errors of softmax and log-softmax that the bounds of all outputs share. Shapes (B, N, K).

    ``A``          largest ``|log|`` of a computed probability over the exact one (section 4)
    ``T_softmax``  absolute error of softmax (section 4)
    ``T_lsm``      absolute error of log-softmax (section 4)
    ``G0``         as ``A``, of the probability in a gradient, recomputed or taken from log-softmax (section 6)
    ``p_exp_G0``   ``p exp(G0)``, the largest computed probability
    ``E_log``      absolute error of the computed log of the normaliser (section 4), (B, N, 1)
    ``shift``      what the rounded product with a factor moves the maximum by (section 3), (B, N, 1) or 0
    """

    A: F64
    T_softmax: F64
    T_lsm: F64
    G0: F64
    p_exp_G0: F64  # noqa: N815
    E_log: F64
    shift: F64 | float


def exp_error(model: Model) -> float:
    """The largest ``|log|`` of a computed exponential over the exact one of the same argument: eE of section 3."""
    return log_loss(2 * model.contract.exp * model.fmt.sums.u) + (log_loss(model.u_o) if model.narrow else 0.0)


def softmax_terms(batch: Batch, rows: Rows, model: Model) -> SoftmaxTerms:
    """The errors that all outputs share (sections 3 and 4; G0 of section 6)."""
    d, y = np.abs(rows.shifted), rows.log_p
    e_exp = exp_error(model)
    present = ~rows.absent

    # bounds.md section 3: the arguments of the exponentials, and A0. log(sum p exp(a)) is evaluated as
    # log1p(sum p (exp(a) - 1)): the plain form would carry float64's own roundoff.
    moved, shift = _product_errors(batch, rows, model)
    d = d + (moved + shift)
    a = model.c_d * t(model.u_i) * d + moved
    A_s = _of_sum(rows, a, large=batch.product_error is not None) + e_exp
    # Section 3, (A1): exponentials that underflow lose tau_i each, in float16 N as much as the sum's own roundings.
    fading = np.sum(present & (d > -np.log(2.0 * model.tau_i / model.u_i)), axis=-1, keepdims=True)
    lost = fading * model.tau_i * np.exp(np.minimum(A_s, FUSED) - rows.log_s)
    growth = rescalings(batch, rows) * (e_exp + t(model.u_i)) if model.online else 0.0
    A_s = A_s - np.log1p(-np.minimum(lost, 1.0)) + model.roundings_of_sum(batch.k) * t(model.u_s) + growth

    # Section 4: the quotient and the public tensor.
    A = a + e_exp + A_s + (0.0 if model.narrow else model.division)
    if model.narrow:
        A_s = A_s + log_loss(model.u_o)
        A = A + 2 * log_loss(model.u_o)
    elif model.sixteen:
        A = A + log_loss(model.u_o)

    # Section 4: log-softmax.
    of_log = model.lam * (rows.log_s + shift + A_s)
    if model.contract.near_one:
        near = rows.log_s - (shift + A_s) <= np.log(2.0)
        of_log = np.where(near, np.maximum(of_log, model.contract.near_one), of_log)
    C = model.u_i * d + moved + A_s + of_log
    E_log = A_s + of_log
    T_inner = C * (1 + model.u_i) + model.u_i * np.abs(y) + model.tau
    T_lsm = T_inner
    if model.sixteen and not model.narrow:
        T_lsm = T_lsm + model.u_o * (np.abs(y) + C)

    def exp_of_log(T: F64) -> F64:
        """The largest ``|log|`` of exp(log p) over p, where the error of log p is ``T`` (section 6, (A2))."""
        again = (model.c_d - 1) * t(model.u_i)  # not times (|y| + T): that sum may overflow where the product does not
        return T + e_exp + again * np.abs(y) + again * T

    # Section 4, (A12): softmax as the exponential of log-probabilities that are kept wide.
    other_way = exp_of_log(T_inner) + (log_loss(model.u_o) if model.sixteen and not model.narrow else 0.0)
    T_softmax = p_expm1(rows, np.maximum(A, other_way)) + model.tau
    if batch.product_error is not None:
        T_softmax = np.minimum(T_softmax, _OF_ONE)
    # Section 6: a gradient takes either, or the exponential of the log-probabilities that were returned.
    G0 = np.maximum(A, exp_of_log(T_lsm))
    p_exp_G0 = np.where(present, np.exp(np.minimum(y + G0, EXP_CAP)), 0.0)
    return SoftmaxTerms(A, T_softmax, T_lsm, G0, p_exp_G0, E_log, shift)


def _product_errors(batch: Batch, rows: Rows, model: Model) -> tuple[F64 | float, F64 | float]:
    """What rounding the product with a factor moves each logit by, and the maximum (section 3)."""
    # An oracle's products are exact.
    if batch.product_error is None or model.fmt != batch.fmt:
        return 0.0, 0.0
    moved = np.where(rows.absent, 0.0, model.contract.rounding * batch.product_error)
    return moved, np.max(np.where(rows.shifted == 0, moved, 0.0), axis=-1, keepdims=True, initial=0.0)


def _of_sum(rows: Rows, a: F64, *, large: bool) -> F64:
    """``log(sum p exp(a))``, (B, N, 1): as log1p(sum p (exp(a) - 1)), or, where a may be ``large``, less its largest
    term."""
    found = np.log1p(np.sum(p_expm1(rows, a), axis=-1, keepdims=True))
    if not large:
        return found
    top = np.max(np.where(rows.absent, -np.inf, rows.log_p + a), axis=-1, keepdims=True, initial=-np.inf)
    beyond = np.isfinite(top) & (top > EXP_CAP / 2)
    if not beyond.any():
        return found
    terms = np.where(rows.absent, 0.0, np.exp(np.minimum(rows.log_p + a - top, 0.0)))
    return np.where(beyond, top + np.log(np.sum(terms, axis=-1, keepdims=True)), found)


def rescalings(batch: Batch, rows: Rows) -> F64:
    """Count how often the running maximum grows in class order (B, N, 1): an upper bound for any block size in that
    order (section 3)."""
    # Logits of which one is huge are apart, and their differences from it may be rounded to one number.
    x = batch.x if batch.low is None else rows.shifted
    running = np.maximum.accumulate(np.where(rows.absent, -np.inf, x), axis=-1)
    return np.sum(running[..., 1:] > running[..., :-1], axis=-1, keepdims=True).astype(np.float64)


def p_expm1(rows: Rows, G: F64) -> F64:
    """``p (exp(G) - 1)`` without overflow, also where p has underflowed (section 3)."""
    big = np.exp(np.minimum(rows.log_p + G, EXP_CAP)) - rows.p
    return np.where(rows.absent, 0.0, np.where(G < 1.0, rows.p * expm1(G), np.maximum(big, 0.0)))


def tangent_softmax(rows: Rows, model: Model, v: F64, P: F64) -> F64:
    """The error of ``p o (v - <p, v>)``, the VJP and the JVP of softmax (section 6); ``P`` is the error of p."""
    signed, p, k_classes = v, rows.p, v.shape[-1]
    v = np.abs(v)
    D = np.sum(p * signed, axis=-1, keepdims=True)
    beta = np.expm1((model.roundings_of_sum(k_classes) + 2) * t(model.u_s) + (2 * model.u_o if model.narrow else 0.0))
    E = np.sum(P * v, -1, keepdims=True) + beta * np.sum((p + P) * v, -1, keepdims=True)
    # (A3): the products p_j v_j underflow.
    E = E + model.tau_i * np.sum(v != 0, -1, keepdims=True)
    k = 6 * model.u_s + (4 * model.u_o if model.narrow else model.u_o if model.sixteen else 0.0)
    spread = v + np.abs(D) + E
    return P * np.abs(signed - D) + (p + P) * E + k * (p + P) * spread + model.tau * (1 + spread)


def vjp_log_softmax(rows: Rows, model: Model, cot: F64, softmax: SoftmaxTerms) -> F64:
    """The error of ``v - p sum v``, the VJP of log-softmax (section 6)."""
    v = np.abs(cot)
    V = np.abs(np.sum(cot, axis=-1, keepdims=True))
    extra = 2 * log_loss(model.u_o) if model.narrow else 0.0
    G = softmax.G0 + extra
    p_exp_G = softmax.p_exp_G0 * np.exp(extra)
    e_V = _error_of_sum(model, v, extra)
    inner = V * p_expm1(rows, G) + p_exp_G * e_V
    k = 3 * model.u_i + (model.u_o if model.sixteen else 0.0)
    # (A4): where sum v cancels, what an underflowed p multiplies is its error e_V.
    return inner + k * (v + p_exp_G * (V + e_V)) + model.tau * (2 + V + e_V)


def jvp_log_softmax(rows: Rows, model: Model, v: F64, softmax: SoftmaxTerms) -> F64:
    """The error of ``v - <p, v>``, the JVP of log-softmax (section 6, directions in the logits)."""
    P = p_expm1(rows, softmax.G0) + model.tau
    D = np.abs(np.sum(rows.p * v, axis=-1, keepdims=True))
    size = np.abs(v)
    beta = np.expm1(model.roundings_of_sum(v.shape[-1]) * t(model.u_s) + (2 * model.u_o if model.narrow else 0.0))
    E = np.sum(P * size, -1, keepdims=True) + beta * np.sum((rows.p + P) * size, -1, keepdims=True)
    # (A3): the products p_j v_j underflow.
    E = E + model.tau_i * np.sum(size != 0, -1, keepdims=True)
    k = 2 * model.u_i + (2 * model.u_o if model.narrow else model.u_o if model.sixteen else 0.0)
    return E + k * (size + D + E) + model.tau


def hvp_log_softmax(rows: Rows, model: Model, cot: F64, v: F64, softmax: SoftmaxTerms) -> F64:
    """The error of ``-(sum c) p o (v - <p, v>)``, the HVP of log-softmax (section 6, second derivatives)."""
    T = tangent_softmax(rows, model, v, p_expm1(rows, softmax.G0) + model.tau)
    D = np.sum(rows.p * v, axis=-1, keepdims=True)
    Z = np.abs(rows.p * (v - D))
    V = np.abs(cot.sum(-1, keepdims=True))
    e_V = _error_of_sum(model, np.abs(cot), 2 * log_loss(model.u_o) if model.narrow else 0.0)
    k = 4 * model.u_i + (model.u_o if model.sixteen else 0.0)
    inner = V * T + e_V * (Z + T)
    # (A14): so may p_j sum c before v_j scales it.
    lost = model.tau_i * softmax.p_exp_G0 * np.sum(np.abs(v), axis=-1, keepdims=True)
    return inner + k * (V * Z + inner) + model.tau * (1 + V + e_V + np.abs(v) + np.abs(D)) + lost


def _error_of_sum(model: Model, v: F64, extra: float) -> F64:
    """e_V of section 6: the error of the sum of a row of which ``v`` are the magnitudes. Shape (B, N, 1)."""
    return np.expm1(model.roundings_of_sum(v.shape[-1]) * t(model.u_s) + extra) * np.sum(v, -1, keepdims=True)
