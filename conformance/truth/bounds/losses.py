"""Bounds of nll_loss, cross-entropy and their derivatives; the steps are derived in docs/bounds.md.

Notation as there: ``c_j = w_j q'_j``, ``Q = sum c``, ``S = sum |c_j y_j|``, ``r`` the relative error of the row scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lossproof.core.batch import Batch, Bools
from lossproof.core.formats import F64
from lossproof.truth.bounds.error_model import DIV_ULP, Model, Summation, log_loss, t
from lossproof.truth.bounds.softmax import SoftmaxTerms, p_expm1, tangent_softmax
from lossproof.truth.row_quantities import Rows, label_weights


@dataclass(frozen=True)
class _Loss:
    """What the bounds of one batch share. Shapes (B, N, K); ``Q``, ``Qa``, ``F``, ``g``, ``r`` (B, N, 1) or (B, 1, 1);
    ``rho_w`` (B, 1)."""

    batch: Batch
    rows: Rows
    m: Model
    h: Summation
    terms: SoftmaxTerms
    w: F64
    q: F64
    c: F64
    used: Bools
    y: F64
    f: F64
    F: F64
    Q: F64
    Qa: F64
    g: F64
    r: F64
    rho_w: F64

    @property
    def n_q(self) -> float:
        """Roundings of Q beyond those of its products: hard, dense, smoothed."""
        hk = self.h(self.batch.k)
        return 1.0 if self.batch.hard else hk + 8 if self.batch.smoothed else hk + 3

    @property
    def b_g(self) -> float:
        """Roundings to a 16-bit format on the way to a gradient."""
        return (6 if self.m.narrow else 4) * log_loss(self.m.u_o) if self.m.sixteen else 0.0


def nll_loss(batch: Batch, rows: Rows, m: Model, h: Summation) -> tuple[dict[str, F64], Bools]:
    """All outputs of nll_loss, and where the denominator may vanish."""
    u = m.u_o if m.sixteen else m.u_s
    S = np.abs(rows.row)
    # A log-probability may be flushed before the weight scales it.
    T_row = u * S + m.tau * (1 + np.abs(label_weights(batch))) if batch.weighted else np.full_like(S, m.tau)
    rho_w, unjudged = denominator_error(batch, m, h)
    out = {"value": reduced(batch, rows, m, h, rows.row, T_row, S, rho_w, terms=batch.n)}
    w = np.abs(label_weights(batch))[..., None]
    r = scale_error(batch, m, rho_w)
    taken = batch.kept[..., None] & (rows.c != 0)
    if batch.cot is not None:
        g = np.abs(rows.g)[..., None]
        out["vjp"] = np.where(taken, g * w * r, 0.0) + m.tau * (1 + g + w)
    if batch.tan is not None:
        slope = np.where(taken, w * (4 * m.u_i + (3 * m.u_o if m.sixteen else 0.0)), 0.0) + m.tau * (2 + w)
        out["jvp"] = _jvp(batch, rows, m, h, slope, -rows.c, rho_w, batch.tan)
        if batch.cot is not None:
            # Nothing is computed: the gradient does not depend on the input.
            out["hvp"] = np.zeros_like(batch.x)
    return out, unjudged


def cross_entropy(
    batch: Batch, rows: Rows, m: Model, terms: SoftmaxTerms, h: Summation
) -> tuple[dict[str, F64], Bools]:
    """All outputs of cross_entropy, and where the denominator may vanish."""
    rho_w, unjudged = denominator_error(batch, m, h)
    x = _loss(batch, rows, m, terms, h, rho_w)
    out = {"value": _value(x)}
    if batch.cot is not None:
        for Q, Qa, slope in _formulas(x):
            _widen(out, "vjp", _slope(x, Q, Qa, x.c, slope, x.g, x.r))
    if batch.tan is not None:
        plain = 4 * m.u_i + (3 * m.u_o if m.sixteen else 0.0)
        for Q, Qa, slope in _formulas(x):
            T = _slope(x, Q, Qa, x.c, slope, np.ones_like(Q), np.full_like(Q, plain))
            _widen(out, "jvp", _jvp(batch, rows, m, h, T, slope, rho_w, batch.tan))
            if batch.cot is not None:
                _widen(out, "hvp", _hvp(x, batch.tan, Q, Qa))
    if "grad_target" in batch.outputs:
        out["grad_target"] = _grad_target(x)
        if batch.tan_q is not None:
            out["mixed"] = _mixed(x, batch.tan_q)
    if "jvp_target" in batch.outputs and batch.tan_q is not None:
        out["jvp_target"] = _jvp_target(x, batch.tan_q)
    return out, unjudged


def _formulas(x: _Loss) -> list[tuple[F64, F64, F64]]:
    """``Q``, ``sum |c|`` and the slope of the gradient; of unnormalised targets both that SPEC section 3 accepts."""
    found = [(x.Q, x.Qa, x.rows.Q * x.rows.p - x.rows.c)]
    if x.batch.unnormalised:
        ones = np.ones_like(x.Q)
        found.append((ones, np.maximum(ones, x.Qa), x.rows.p - x.rows.c))
    return found


def _widen(out: dict[str, F64], name: str, bound: F64) -> None:
    out[name] = np.maximum(out[name], bound) if name in out else bound


def _loss(batch: Batch, rows: Rows, m: Model, terms: SoftmaxTerms, h: Summation, rho_w: F64) -> _Loss:
    w = np.broadcast_to(np.abs(batch.w)[:, None, :], batch.x.shape)
    q = _mixed_targets(batch)
    # Not |c|: where (1 - eps) q and eps / K cancel, the roundings of either remain.
    c = np.where(batch.kept[..., None], w * q, 0.0)
    used = c != 0
    f = 2 + np.where(used, 1 + w + q, 0.0)
    return _Loss(
        batch=batch,
        rows=rows,
        m=m,
        h=h,
        terms=terms,
        w=w,
        q=q,
        c=c,
        used=used,
        y=np.where(used, np.abs(rows.y), 0.0),
        f=f,
        F=np.sum(f, -1, keepdims=True),
        Q=np.abs(rows.Q),
        Qa=np.sum(c, -1, keepdims=True),
        g=np.abs(rows.g)[..., None],
        r=scale_error(batch, m, rho_w),
        rho_w=rho_w,
    )


def _value(x: _Loss) -> F64:
    m, hk = x.m, x.h(x.batch.k)
    S = np.sum(x.c * x.y, -1)
    ST = np.sum(np.where(x.used, x.c * x.terms.T_y, 0.0), -1)
    if x.batch.hard:
        n, roundings = 1.0, (2 if m.narrow else 1)
    elif not x.batch.smoothed:
        n, roundings = hk + 2, (4 if m.narrow else 1)
    else:
        n, roundings = hk + 7, (8 if m.narrow else 5)
    b = roundings * log_loss(m.u_o) if m.sixteen else 0.0
    T_row = ST + np.expm1(n * t(m.u_s) + b) * (S + ST)
    # tau inside the sum: y may be so large that the sum alone would overflow.
    lost = np.sum(np.where(x.used, (m.tau * x.y) * (2 + x.w + x.q), 0.0), -1)
    T_row = T_row + m.tau * (1 + x.used.sum(-1)) + lost
    terms = x.batch.n if x.batch.hard else x.batch.n * x.batch.k
    return reduced(x.batch, x.rows, m, x.h, x.rows.row, T_row, S, x.rho_w, terms=terms)


def _slope(x: _Loss, Q: F64, Qa: F64, c: F64, exact: F64, g: F64, r: F64) -> F64:
    """Error of ``g (Q p - c)``: logit gradients, and with other coefficients the mixed derivative."""
    m, n_c = x.m, 0.0 if x.batch.hard else 7.0 if x.batch.smoothed else 3.0
    inner = Q * p_expm1(x.rows, x.terms.G0) + x.terms.pe * np.expm1(x.n_q * t(m.u_s) + x.b_g) * Qa
    if not x.batch.hard:
        inner = inner + np.expm1(n_c * t(m.u_s) + x.b_g) * c
    unscaled = np.abs(exact) + inner
    bound = g * (inner + r * unscaled + m.tau * (Qa + x.f + x.rows.p * x.F))
    if x.batch.reduction == "mean":
        # The quotient g = cotangent / denominator may itself underflow.
        bound = bound + m.tau_i * unscaled
    outer = 1.0 + (x.used + x.terms.pe * x.used.sum(-1, keepdims=True) if m.narrow else 0.0)
    bound = bound + m.tau * outer
    if x.batch.weighted and not x.batch.hard:
        # g eps / K (or g q) may underflow before the weight scales it, and so may the cotangent's share before the
        # denominator divides it.
        w = np.where(x.used, x.w, 0.0)
        lost = w + x.terms.pe * np.sum(w, -1, keepdims=True)
        bound = bound + m.tau_i * lost
        if x.batch.reduction == "mean":
            W = np.abs(x.rows.W)
            per = np.where(W > 0, 1 / ((1 - x.rho_w) * W), 0.0)
            bound = bound + m.tau_i * per[..., None] * lost
    return bound


def _jvp(
    batch: Batch,
    rows: Rows,
    m: Model,
    h: Summation,
    T: F64,
    slope: F64,
    rho_w: F64,
    tangent: F64,
    lost: F64 | float = 0.0,
) -> F64:
    """Error of ``<slope, tangent>`` row by row, then of the reduction; ``T`` is the error of the slope, ``lost`` what
    underflows on the way to a row."""
    v = np.abs(tangent)
    S = np.sum(v * np.abs(slope), -1)
    ST = np.sum(v * T, -1)
    beta = np.expm1(h(batch.k) * t(m.u_s)) + (2 * m.u_o if m.sixteen else 0.0)
    T_row = ST + beta * (S + ST) + m.tau * (1 + np.sum(v != 0, -1)) + lost
    exact = np.sum(slope * tangent, -1)
    return reduced(batch, rows, m, h, exact, T_row, S, rho_w, terms=batch.n * batch.k)


def _hvp(x: _Loss, v: F64, Q: F64, Qa: F64) -> F64:
    """Error of ``g Q p o (v - <p, v>)``."""
    m, rows = x.m, x.rows
    T = tangent_softmax(rows, m, v, p_expm1(rows, x.terms.G0) + m.tau, x.h(x.batch.k))
    D = np.sum(rows.p * v, axis=-1, keepdims=True)
    Z = np.abs(rows.p * (v - D))
    n = 2.0 if x.batch.hard else x.h(x.batch.k) + 8
    e = np.expm1(n * t(m.u_s) + (3 * m.u_o if m.sixteen else 0.0))
    bound = (x.g * Q * T + e * x.g * Qa * (Z + T)) * (1 + x.r) + x.r * x.g * Q * Z
    return bound + m.tau * (1 + (1 + x.g) * x.F * (np.abs(v) + np.abs(D)))


def _grad_target(x: _Loss) -> F64:
    """Error of ``-g (1 - eps) w_j log p_j``."""
    m, eps = x.m, x.batch.eps
    y, T = np.abs(x.rows.y), x.terms.T_y
    rho = x.r - (4 * m.u_i + (3 * m.u_o if m.sixteen else 0.0))
    k = rho + 4 * m.u_i + (4 * m.u_o if m.sixteen else 0.0)
    return x.g * (1 - eps) * x.w * (T + k * (y + T)) + m.tau * (1 + y * (1 + x.g + x.w))


def _jvp_target(x: _Loss, u: F64) -> F64:
    """Error of ``<-(1 - eps) w log p, u>``, then of the reduction: by the gradient, or by products with u first."""
    m, eps = x.m, x.batch.eps
    y, T = np.abs(x.rows.y), x.terms.T_y
    k = 4 * m.u_i + (4 * m.u_o if m.sixteen else 0.0)
    T = (1 - eps) * x.w * (T + k * (y + T)) + m.tau * (1 + y * (2 + x.w))
    lost = m.tau * np.sum(np.where(u != 0, y * (2 + x.w), 0.0), -1)
    slope = -(1 - eps) * x.batch.w[:, None, :] * x.rows.y
    return _jvp(x.batch, x.rows, m, x.h, T, slope, x.rho_w, u, lost)


def _mixed(x: _Loss, u: F64) -> F64:
    """Error of ``g (1 - eps) (p_i sum_j w_j u_j - w_i u_i)``: the slope with c = (1 - eps) w u."""
    signed = (1 - x.batch.eps) * x.batch.w[:, None, :] * u
    c, Q = np.abs(signed), np.sum(signed, -1, keepdims=True)
    return _slope(x, np.abs(Q), np.sum(c, -1, keepdims=True), c, Q * x.rows.p - signed, x.g, x.r)


def _mixed_targets(batch: Batch) -> F64:
    if batch.q is not None:
        return (1 - batch.eps) * np.abs(batch.q) + batch.eps / batch.k
    # sanity check: a loss without probabilities has labels
    assert batch.y is not None
    return (1 - batch.eps) * (np.arange(batch.k) == batch.y[..., None]) + batch.eps / batch.k


def denominator_error(batch: Batch, m: Model, h: Summation) -> tuple[F64, Bools]:
    """Relative error of the computed ``sum w_y`` (B, 1), and where it may reach 1."""
    if not batch.weighted or batch.y is None or batch.reduction != "mean" or batch.mean != "mean":
        return np.zeros((batch.x.shape[0], 1)), np.zeros(batch.x.shape[0], dtype=bool)
    w = label_weights(batch)
    total = np.sum(np.abs(w), axis=1, keepdims=True)
    ratio = np.where(total == 0, 0.0, total / np.abs(w.sum(axis=1, keepdims=True)))
    rho = np.expm1(h(batch.n) * t(m.u_s)) * ratio
    if m.narrow:
        rho = rho + 4 * m.u_o * ratio
    elif m.sixteen:
        rho = rho + m.u_o * (1 + rho)
    unjudged = ~(rho < 1)
    return np.where(unjudged, 0.0, rho), unjudged[:, 0]


def scale_error(batch: Batch, m: Model, rho_w: F64) -> F64:
    """Relative error r of the row scale of a gradient, (B, 1, 1)."""
    rho = rho_w / (1 - rho_w) + 4 * m.u_s if batch.reduction == "mean" else np.zeros_like(rho_w)
    return (rho + 4 * m.u_i + (3 * m.u_o if m.sixteen else 0.0))[..., None]


def reduced(
    batch: Batch, rows: Rows, m: Model, h: Summation, exact: F64, T_row: F64, S: F64, rho_w: F64, *, terms: int
) -> F64:
    """Error of none (B, N), sum (B, 1) or mean (B, 1) of rows ``exact``, from the row errors and magnitudes ``S``."""
    kept = batch.kept
    T_row, S = np.where(kept, T_row, 0.0), np.where(kept, S, 0.0)
    if batch.reduction == "none":
        return np.where(kept, T_row, m.tau)
    A = np.sum(T_row, 1, keepdims=True) + np.expm1(h(terms) * t(m.u_s)) * np.sum(S + T_row, 1, keepdims=True)
    T_sum = A + m.tau
    if m.sixteen:
        T_sum = T_sum + (4 if m.narrow else 1) * m.u_o * (np.sum(S, 1, keepdims=True) + A)
    if batch.reduction == "sum":
        return T_sum
    W = np.abs(rows.W)
    mean = np.abs(np.sum(np.where(kept, exact, 0.0), 1, keepdims=True)) / W
    B = (T_sum / W + mean * rho_w) / (1 - rho_w)
    # Division, and a count of rows that may need rounding.
    f = 3 * m.u_o if m.sixteen else (DIV_ULP + 1) * m.u_s
    return B + f * (np.sum(S, 1, keepdims=True) / W + B) + m.tau
