"""Bounds of nll_loss, cross-entropy and their derivatives: docs/bounds.md, sections 5 and 6, in its letters.

Entries are in the batch's layout: (B, N, K) for classes, (B, N, 1) for what a row shares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lossproof.core.batch import Batch, Bools
from lossproof.core.formats import F64
from lossproof.truth.bounds.error_model import Model, log_loss, t
from lossproof.truth.bounds.softmax import SoftmaxTerms, p_expm1, tangent_softmax
from lossproof.truth.row_quantities import Rows, counted, label_weights


@dataclass(frozen=True)
class LossTerms:
    """The magnitudes, most of them, that the bounds of a batch of cross-entropies share.

    ``w``        (B, N, K) ``|class weights|``
    ``q``        (B, N, K) ``(1 - eps) |q_j| + eps / K``
    ``c``        (B, N, K) their product, 0 in ignored rows: ``|c_j|`` of (A8)
    ``used``     (B, N, K) where that is not 0
    ``y``        (B, N, K) ``|log p|`` of the used classes, 0 elsewhere
    ``f``, ``F`` (B, N, K) products inside Q and c_j that may underflow, times the factors that follow; (B, N, 1) sums
    ``Q``, ``Qa`` (B, N, 1) ``|sum c_j|`` and sum ``|c_j|``
    ``g``        (B, N, 1) ``|row scale of the gradient|``
    ``r``        (B, 1, 1) relative error of a scaled gradient; see ``scale_error``
    ``rho``      (B, 1) relative error of the mean's denominator; see ``denominator_error``
    """

    batch: Batch
    rows: Rows
    model: Model
    softmax: SoftmaxTerms
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
    rho: F64

    @property
    def n_Q(self) -> float:  # noqa: N802
        """Roundings of Q (section 6): index targets, probabilities, smoothed."""
        h_k = self.model.roundings_of_sum(self.batch.k)
        return 1.0 if self.batch.hard else h_k + 8 if self.batch.smoothed else h_k + 3

    @property
    def b(self) -> float:
        """Roundings to a 16-bit format on the way to a gradient, as a logarithm: b L(u_o) of section 6."""
        return (6 if self.model.narrow else 4) * log_loss(self.model.u_o) if self.model.sixteen else 0.0


def nll_loss(batch: Batch, rows: Rows, model: Model) -> tuple[dict[str, F64], Bools]:
    """The bounds of all outputs of nll_loss, and the problems (B,) whose denominator may vanish (sections 5 and 6)."""
    u = model.u_o if model.sixteen else model.u_s
    S = np.abs(rows.row_loss)
    # Section 5, (A10): a log-probability may be flushed before the weight scales it.
    T_row = u * S + model.tau * (1 + np.abs(label_weights(batch))) if batch.weighted else np.full_like(S, model.tau)
    rho, unjudged = denominator_error(batch, model)
    out = {"value": reduced(batch, rows, model, rows.row_loss, T_row, S, rho, summands=batch.n)}
    w = np.abs(label_weights(batch))[..., None]
    r = scale_error(batch, model, rho)
    taken = batch.kept[..., None] & (rows.c != 0)
    if batch.cot is not None:
        g = np.abs(rows.row_scale)[..., None]
        out["vjp"] = np.where(taken, g * w * r, 0.0) + model.tau * (1 + g + w)
    if batch.tan is not None:
        slope = np.where(taken, w * unscaled_error(model), 0.0) + model.tau * (2 + w)
        out["jvp"] = _jvp(batch, rows, model, slope, -rows.c, rho, batch.tan)
        if batch.cot is not None:
            # Nothing is computed: the gradient does not depend on the input.
            out["hvp"] = np.zeros_like(batch.x)
    return out, unjudged


def cross_entropy(batch: Batch, rows: Rows, model: Model, softmax: SoftmaxTerms) -> tuple[dict[str, F64], Bools]:
    """The bounds of all outputs of cross_entropy, and the problems (B,) whose denominator may vanish (sections 5
    and 6)."""
    rho, unjudged = denominator_error(batch, model)
    terms = loss_terms(batch, rows, model, softmax, rho)
    out = {"value": _value(terms)}
    if batch.cot is not None:
        for Q, Qa, slope in gradient_formulas(terms):
            widen(out, "vjp", slope_error(terms, Q, Qa, terms.c, slope, terms.g, terms.r))
    if batch.tan is not None:
        for Q, Qa, slope in gradient_formulas(terms):
            one, r = np.ones_like(Q), np.full_like(Q, unscaled_error(model))
            T = slope_error(terms, Q, Qa, terms.c, slope, one, r)
            widen(out, "jvp", _jvp(batch, rows, model, T, slope, rho, batch.tan))
            if batch.cot is not None:
                widen(out, "hvp", _hvp(terms, batch.tan, Q, Qa))
    if "grad_target" in batch.outputs:
        out["grad_target"] = _grad_target(terms)
        if batch.tan_q is not None:
            out["mixed"] = _mixed(terms, batch.tan_q)
    if "jvp_target" in batch.outputs and batch.tan_q is not None:
        out["jvp_target"] = _jvp_target(terms, batch.tan_q)
    return out, unjudged


def gradient_formulas(terms: LossTerms) -> list[tuple[F64, F64, F64]]:
    """``Q``, ``sum |c|`` and the slope of the gradient; then those of the second gradient that section 3 of the
    specification accepts where targets do not sum to 1, and in other rows the first once more."""
    rows = terms.rows
    slope = rows.Q * rows.p - rows.c
    found = [(terms.Q, terms.Qa, slope)]
    if rows.either.any():
        either = rows.either[..., None]
        Q, Qa = np.where(either, 1.0, terms.Q), np.where(either, np.maximum(1.0, terms.Qa), terms.Qa)
        found.append((Q, Qa, np.where(either, rows.p - rows.c, slope)))
    return found


def widen(out: dict[str, F64], name: str, bound: F64) -> None:
    """Put a bound into ``out``, the larger one where there is one already."""
    out[name] = np.maximum(out[name], bound) if name in out else bound


def loss_terms(batch: Batch, rows: Rows, model: Model, softmax: SoftmaxTerms, rho: F64) -> LossTerms:
    """The magnitudes that the bounds of a batch of cross-entropies share."""
    w = np.broadcast_to(np.abs(batch.w)[:, None, :], batch.x.shape)
    q = _smoothed_magnitudes(batch)
    # Section 5, (A8): not |c|. Where (1 - eps) q and eps / K cancel, the roundings of either remain.
    c = np.where(batch.kept[..., None], w * q, 0.0)
    used = c != 0
    f = 2 + np.where(used, 1 + w + q, 0.0)
    return LossTerms(
        batch=batch,
        rows=rows,
        model=model,
        softmax=softmax,
        w=w,
        q=q,
        c=c,
        used=used,
        y=np.where(used, np.abs(rows.log_p), 0.0),
        f=f,
        F=np.sum(f, -1, keepdims=True),
        Q=np.abs(rows.Q),
        Qa=np.sum(c, -1, keepdims=True),
        g=np.abs(rows.row_scale)[..., None],
        r=scale_error(batch, model, rho),
        rho=rho,
    )


def _smoothed_magnitudes(batch: Batch) -> F64:
    """``(1 - eps) |q_j| + eps / K``, (B, N, K)."""
    if batch.q is not None:
        return (1 - batch.eps) * np.abs(batch.q) + batch.eps / batch.k
    # sanity check: a loss without probabilities has labels
    assert batch.y is not None
    return (1 - batch.eps) * (np.arange(batch.k) == batch.y[..., None]) + batch.eps / batch.k


def _value(terms: LossTerms) -> F64:
    """The error of the loss (section 5): T_row, then that of the reduction."""
    batch, rows = terms.batch, terms.rows
    T_row, S = error_of_rows(terms)
    return reduced(batch, rows, terms.model, rows.row_loss, T_row, S, terms.rho, summands=summands_of(batch))


def summands_of(batch: Batch) -> int:
    """The terms that a framework may sum flat (section 5): rows, or, where targets are not hard, those of classes."""
    return batch.n if batch.hard else batch.n * batch.k


def error_of_rows(terms: LossTerms) -> tuple[F64, F64]:
    """The error T_row of each row's loss, and its sum S of magnitudes (section 5), both (B, N)."""
    batch, model = terms.batch, terms.model
    h_k = model.roundings_of_sum(batch.k)
    S = np.sum(terms.c * terms.y, -1)
    ST = np.sum(np.where(terms.used, terms.c * terms.softmax.T_lsm, 0.0), -1)
    if batch.hard:
        n, roundings = 1.0, (2 if model.narrow else 1)
    elif not batch.smoothed:
        n, roundings = h_k + 2, (4 if model.narrow else 1)
    else:
        n, roundings = h_k + 7, (8 if model.narrow else 5)
    b = roundings * log_loss(model.u_o) if model.sixteen else 0.0
    T_row = ST + np.expm1(n * t(model.u_s) + b) * (S + ST)
    # tau inside the sum: y may be so large that the sum alone would overflow.
    lost = np.sum(np.where(terms.used, (model.tau * terms.y) * (2 + terms.w + terms.q), 0.0), -1)
    return T_row + model.tau * (1 + terms.used.sum(-1)) + lost, S


def slope_error(terms: LossTerms, Q: F64, Qa: F64, c: F64, exact: F64, g: F64, r: F64) -> F64:
    """The error of ``g (Q p - c)``, T_grad of section 6: logit gradients, and with other coefficients the mixed
    derivative. ``exact`` is ``Q p - c``, ``c`` its magnitudes, ``g`` the scale and ``r`` its relative error."""
    batch, model, softmax = terms.batch, terms.model, terms.softmax
    n_c = 0.0 if batch.hard else 7.0 if batch.smoothed else 3.0
    I = Q * p_expm1(terms.rows, softmax.G0)  # noqa: E741
    I = I + softmax.p_exp_G0 * np.expm1(terms.n_Q * t(model.u_s) + terms.b) * Qa  # noqa: E741
    if not batch.hard:
        I = I + np.expm1(n_c * t(model.u_s) + terms.b) * c  # noqa: E741
    unscaled = np.abs(exact) + I
    bound = g * (I + r * unscaled + model.tau * (Qa + terms.f + terms.rows.p * terms.F))
    if batch.reduction == "mean":
        # (A7): the quotient g = cotangent / denominator may itself underflow.
        bound = bound + model.tau_i * unscaled
    outer = 1.0 + (terms.used + softmax.p_exp_G0 * terms.used.sum(-1, keepdims=True) if model.narrow else 0.0)
    bound = bound + model.tau * outer
    if batch.weighted and not batch.hard:
        # (A9): g eps / K (or g q) may underflow before the weight scales it.
        w = np.where(terms.used, terms.w, 0.0)
        lost = w + softmax.p_exp_G0 * np.sum(w, -1, keepdims=True)
        bound = bound + model.tau_i * lost
        if batch.reduction == "mean":
            # (A11): so may the cotangent's share before the denominator divides it.
            W = np.abs(terms.rows.denominator)
            per = np.where(W > 0, 1 / ((1 - terms.rho) * W), 0.0)
            bound = bound + model.tau_i * per[..., None] * lost
    return bound


def _jvp(
    batch: Batch,
    rows: Rows,
    model: Model,
    T: F64,
    slope: F64,
    rho: F64,
    tangent: F64,
    lost: F64 | float = 0.0,
) -> F64:
    """The error of ``<slope, tangent>`` row by row, then of the reduction (section 6, directions in the logits and in
    the targets). ``T`` is the error of the slope, ``lost`` what underflows on the way to a row."""
    v = np.abs(tangent)
    S = np.sum(v * np.abs(slope), -1)
    ST = np.sum(v * T, -1)
    beta = np.expm1(model.roundings_of_sum(batch.k) * t(model.u_s)) + (2 * model.u_o if model.sixteen else 0.0)
    T_row = ST + beta * (S + ST) + model.tau * (1 + np.sum(v != 0, -1)) + lost
    exact = np.sum(slope * tangent, -1)
    return reduced(batch, rows, model, exact, T_row, S, rho, summands=batch.n * batch.k)


def _hvp(terms: LossTerms, v: F64, Q: F64, Qa: F64) -> F64:
    """The error of ``g Q p o (v - <p, v>)`` (section 6, second derivatives)."""
    batch, model, rows, g, r = terms.batch, terms.model, terms.rows, terms.g, terms.r
    T = tangent_softmax(rows, model, v, p_expm1(rows, terms.softmax.G0) + model.tau)
    D = np.sum(rows.p * v, axis=-1, keepdims=True)
    Z = np.abs(rows.p * (v - D))
    n = 2.0 if batch.hard else model.roundings_of_sum(batch.k) + 8
    e = np.expm1(n * t(model.u_s) + (3 * model.u_o if model.sixteen else 0.0))
    bound = (g * Q * T + e * g * Qa * (Z + T)) * (1 + r) + r * g * Q * Z
    # (A14): g p_j may underflow before v_j scales it, in the inner product.
    inner = terms.softmax.p_exp_G0 * np.sum(np.abs(v), axis=-1, keepdims=True)
    return bound + model.tau * (1 + (1 + g) * terms.F * (np.abs(v) + np.abs(D))) + model.tau_i * (1 + Qa) * inner


def _grad_target(terms: LossTerms) -> F64:
    """The error of ``-g (1 - eps) w_j log p_j`` (section 6, the gradient in the targets)."""
    model, g = terms.model, terms.g
    y, T = np.abs(terms.rows.log_p), terms.softmax.T_lsm
    k = terms.r - unscaled_error(model) + 4 * model.u_i + (4 * model.u_o if model.sixteen else 0.0)
    return g * (1 - terms.batch.eps) * terms.w * (T + k * (y + T)) + model.tau * (1 + y * (1 + g + terms.w))


def _jvp_target(terms: LossTerms, u: F64) -> F64:
    """The error of ``<-(1 - eps) w log p, u>``, then of the reduction: by the gradient, or by products with u first
    (section 6, a direction in the targets)."""
    batch, model, eps = terms.batch, terms.model, terms.batch.eps
    y, T = np.abs(terms.rows.log_p), terms.softmax.T_lsm
    k = 4 * model.u_i + (4 * model.u_o if model.sixteen else 0.0)
    T = (1 - eps) * terms.w * (T + k * (y + T)) + model.tau * (1 + y * (2 + terms.w))
    lost = model.tau * np.sum(np.where(u != 0, y * (2 + terms.w), 0.0), -1)
    slope = -(1 - eps) * batch.w[:, None, :] * terms.rows.log_p
    return _jvp(batch, terms.rows, model, T, slope, terms.rho, u, lost)


def _mixed(terms: LossTerms, u: F64) -> F64:
    """The error of ``g (1 - eps) (p_i sum_j w_j u_j - w_i u_i)``: T_grad of section 6 with c = (1 - eps) w u."""
    signed = (1 - terms.batch.eps) * terms.batch.w[:, None, :] * u
    c, Q = np.abs(signed), np.sum(signed, -1, keepdims=True)
    return slope_error(terms, np.abs(Q), np.sum(c, -1, keepdims=True), c, Q * terms.rows.p - signed, terms.g, terms.r)


def denominator_error(batch: Batch, model: Model) -> tuple[F64, Bools]:
    """The relative error rho of the computed ``sum w_y`` (B, 1), and the problems (B,) where it may reach 1
    (section 5)."""
    has_weights = (batch.weighted and batch.y is not None) or batch.row_weight is not None
    if not has_weights or batch.reduction != "mean" or batch.mean != "mean":
        return np.zeros((batch.x.shape[0], 1)), np.zeros(batch.x.shape[0], dtype=bool)
    w = counted(batch)
    total = np.sum(np.abs(w), axis=1, keepdims=True)
    R = np.where(total == 0, 0.0, total / np.abs(w.sum(axis=1, keepdims=True)))
    # docs/variants.md: the weight of a row times that of its label.
    product = 0.0 if batch.row_weight is None else t(model.u_i)
    rho = np.expm1(model.roundings_of_sum(batch.n) * t(model.u_s) + product) * R
    if model.narrow:
        rho = rho + 4 * model.u_o * R
    elif model.sixteen:
        rho = rho + model.u_o * (1 + rho)
    unjudged = ~(rho < 1)
    return np.where(unjudged, 0.0, rho), unjudged[:, 0]


def unscaled_error(model: Model) -> float:
    """The part of r that no scale adds (section 6): the subtraction, the products, the output."""
    return 4 * model.u_i + (3 * model.u_o if model.sixteen else 0.0)


def scale_error(batch: Batch, model: Model, rho: F64) -> F64:
    """The relative error r of a scaled gradient (section 6), (B, 1, 1)."""
    # (A5): the reciprocal of the denominator multiplies.
    scale = (
        rho / (1 - rho) + (model.contract.division + 1) * model.u_s if batch.reduction == "mean" else np.zeros_like(rho)
    )
    return (scale + 4 * model.u_i + (3 * model.u_o if model.sixteen else 0.0))[..., None]


def reduced(batch: Batch, rows: Rows, model: Model, exact: F64, T_row: F64, S: F64, rho: F64, *, summands: int) -> F64:
    """The error of a reduction of rows (section 5): (B, N) for none, (B, 1) for sum and mean.

    ``exact``, ``T_row``, ``S`` (B, N) are the rows, their errors and their sums of magnitudes; ``summands`` are the
    terms that a framework may sum flat, each of them as often as a row occurs.
    """
    kept = batch.kept
    T_row, S = np.where(kept, T_row, 0.0), np.where(kept, S, 0.0)
    if batch.reduction == "none":
        return np.where(kept, T_row, model.tau)
    rounding = np.expm1(model.roundings_of_sum(summands * model.copies) * t(model.u_s))
    A = np.sum(T_row, 1, keepdims=True) + rounding * np.sum(S + T_row, 1, keepdims=True)
    T_sum = A + model.tau
    if model.sixteen:
        T_sum = T_sum + (4 if model.narrow else 1) * model.u_o * (np.sum(S, 1, keepdims=True) + A)
    if batch.reduction == "sum":
        return T_sum
    W = np.abs(rows.denominator)
    mean = np.abs(np.sum(np.where(kept, exact, 0.0), 1, keepdims=True)) / W
    B = (T_sum / W + mean * rho) / (1 - rho)
    # (A6): division within its contract, and a count of rows that may need rounding.
    f = 3 * model.u_o if model.sixteen else (model.contract.division + 1) * model.u_s
    return B + f * (np.sum(S, 1, keepdims=True) / W + B) + model.tau
