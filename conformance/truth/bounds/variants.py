"""Bounds of variants: docs/variants.md, section 4, in its letters.

Entries are in the batch's layout: (B, N, K) for classes, (B, N, 1) for what a row shares.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lossproof.core.batch import Batch, Bools
from lossproof.core.formats import F64
from lossproof.truth.bounds.error_model import TANH_ULP, Model, log_loss, t
from lossproof.truth.bounds.losses import (
    LossTerms,
    denominator_error,
    error_of_rows,
    gradient_formulas,
    loss_terms,
    reduced,
    slope_error,
    summands_of,
    widen,
)
from lossproof.truth.bounds.softmax import (
    SoftmaxTerms,
    exp_error,
    expm1,
    p_expm1,
    softmax_terms,
    tangent_softmax,
    vjp_log_softmax,
)
from lossproof.truth.row_quantities import Rows

# Beyond it 1 - tanh^2 is 0 in float64.
_SATURATED = 1000.0


@dataclass(frozen=True)
class Inner:
    """The errors of scale and cap.

    ``moved``   (B, N, K) error of the logits z that the op sees, or None where they are those given
    ``slope``   (B, N, K) ``|dz / dx|``, or 1
    ``E``       (B, N, K) its error, or 0
    ``n``       roundings of the product with it
    ``lost``    what underflows on the way, in units of tau
    """

    moved: F64 | None
    slope: F64 | float = 1.0
    E: F64 | float = 0.0
    n: float = 0.0
    lost: float = 0.0


def variant(batch: Batch, rows: Rows, model: Model) -> tuple[dict[str, F64], Bools]:
    """The bounds of all outputs of a variant, and the problems (B,) whose denominator may vanish."""
    inner = scale_and_cap(batch, model)
    # (A13) of docs/bounds.md: errors of the logits that the op sees.
    softmax = softmax_terms(replace(batch, product_error=inner.moved), rows, model)
    if batch.op == "cross_entropy":
        return _cross_entropy(batch, rows, model, softmax, inner)
    out = {"value": softmax.T_softmax if batch.op == "softmax" else softmax.T_lsm}
    if batch.cot is not None:
        v, p = batch.cot, rows.p
        if batch.op == "softmax":
            T = tangent_softmax(rows, model, v, softmax.T_softmax)
            exact = p * (v - np.sum(p * v, axis=-1, keepdims=True))
        else:
            T = vjp_log_softmax(rows, model, v, softmax)
            exact = v - p * np.sum(v, axis=-1, keepdims=True)
        out["vjp"] = _chained(model, inner, np.abs(exact), T)
    return out, np.zeros(batch.x.shape[0], dtype=bool)


def scale_and_cap(batch: Batch, model: Model) -> Inner:
    """The errors of scale and cap (section 4, scale and cap; the chain rule)."""
    if batch.raw is None:
        return Inner(None)
    u, eta = t(model.u_i), model.tau_i
    scale, cap = abs(batch.logit_scale), batch.softcap
    # A power of two and its product are exact; other factors are rounded, and so is the product.
    faint = _faint(model, scale)
    is_exact = np.frexp(scale)[0] == 0.5 and not faint
    n_s = 0.0 if is_exact else 2.0
    given = np.abs(np.where(np.isfinite(batch.raw), batch.raw, 0.0))
    scaled = scale * given
    lost = (0.0 if scale == 1.0 else eta) + faint * given
    if not cap:
        return Inner(expm1(n_s * u) * scaled + lost, scale, faint, n_s, scale)
    # The argument: c is rounded, and a division is within its contract, or a product with a rounded reciprocal.
    n_c = 3.0 if model.narrow else model.contract.division + 1
    a = np.minimum(scaled / cap, _SATURATED)
    rho = float(expm1((n_s + n_c) * u))
    infinite = np.isinf(batch.raw)
    tanh, own = np.where(infinite, 1.0, np.tanh(a)), np.where(infinite, 0.0, _sech2(a))
    E = rho * a * _sech2(a * max(0.0, 1 - rho)) + (lost / cap + eta)
    # The function, then the product with c.
    contract = float(expm1(2 * TANH_ULP * t(model.u_s) + (log_loss(model.u_o) if model.narrow else 0.0)))
    E = E + contract * (tanh + E) + eta + (_by_exponential(model, a, own) if model.profile == "F" else 0.0)
    moved = cap * E + float(expm1(2 * u)) * cap * (tanh + E) + eta
    # 1 - tanh^2: of the tanh that is kept, or of z / c.
    again = moved / cap
    E = np.maximum(E, again + float(expm1(n_c * u)) * (tanh + again) + eta)
    # ``1 - t t`` rounds t t, ``(1 - t)(1 + t)`` both factors.
    square = 2 * tanh * E + E**2 + 2 * u * (1 + E)
    slope = scale * (square + u * (own + square) + eta) + faint * (own + square)
    n = n_s + n_c + 4
    return Inner(moved, scale * own, slope, n, scale * (1 + 2 / cap))


def _faint(model: Model, factor: float) -> float:
    """What a factor loses that is below the normal range of the intermediates and is rounded to it."""
    format_of = model.fmt if model.narrow else model.fmt.sums
    return model.tau_i if 0.0 < factor < format_of.min_normal else 0.0


def _sech2(a: F64) -> F64:
    """``1 - tanh(a)^2`` without cancellation."""
    e = np.exp(-2 * np.abs(a))
    return 4 * e / (1 + e) ** 2


def _by_exponential(model: Model, a: F64, slope: F64) -> F64:
    """The absolute error of ``1 - 2 / (1 + exp(2 a))``, which profile F may compute for tanh."""
    power = expm1(2 * model.c_d * t(model.u_s) * a + exp_error(model))
    return slope / 2 * power + (2 * (model.contract.division + 1) + 1) * t(model.u_s)


def _chained(model: Model, inner: Inner, exact: F64, T: F64) -> F64:
    """The error of a gradient in x, from that of the gradient in z, of which ``exact`` is the magnitude."""
    if inner.n == 0.0 and not np.any(inner.E) and np.all(np.asarray(inner.slope) == 1.0):
        return T
    rounding = float(expm1(inner.n * t(model.u_i) + (log_loss(model.u_o) if model.sixteen else 0.0)))
    whole = (inner.slope + inner.E) * (exact + T)
    return inner.slope * T + inner.E * (exact + T) + rounding * whole + model.tau * (1 + inner.lost)


def _cross_entropy(
    batch: Batch, rows: Rows, model: Model, softmax: SoftmaxTerms, inner: Inner
) -> tuple[dict[str, F64], Bools]:
    rho, unjudged = denominator_error(batch, model)
    terms = loss_terms(batch, rows, model, softmax, rho)
    lse, E = _log_sum_exp(batch, rows, model, softmax)
    out = {"value": _value(terms, lse, E)}
    if batch.cot is not None:
        for Q, Qa, slope in gradient_formulas(terms):
            exact, T = _slope(terms, 0.0 if inner.moved is None else inner.moved, lse, E, Q, Qa, slope)
            widen(out, "vjp", _chained(model, inner, exact, T))
    return out, unjudged


def _log_sum_exp(batch: Batch, rows: Rows, model: Model, softmax: SoftmaxTerms) -> tuple[F64, F64]:
    """The log-sum-exp of each row and its error E, (B, N, 1)."""
    m = np.where(rows.absent, -np.inf, batch.x).max(axis=-1, keepdims=True, initial=-np.inf)
    lse = np.where(np.isfinite(m), m, 0.0) + rows.log_s
    E = softmax.E_log + softmax.shift
    return lse, E + model.u_i * (np.abs(lse) + E) + model.tau_i


def _row_weight(batch: Batch) -> F64:
    return np.ones(batch.kept.shape) if batch.row_weight is None else batch.row_weight


def _value(terms: LossTerms, lse: F64, E: F64) -> F64:
    batch, rows, model = terms.batch, terms.rows, terms.model
    T_row, S = error_of_rows(terms)
    size, E, weight = np.abs(lse)[..., 0], E[..., 0], _row_weight(batch)
    squared = batch.z_loss * size**2 if batch.z_loss else np.zeros_like(size)
    if batch.z_loss:
        T_row = T_row + batch.z_loss * (2 * size * E + E**2)
        T_row = T_row + float(expm1(3 * t(model.u_i))) * batch.z_loss * (size + E) ** 2
        T_row = T_row + model.tau_i * (1 + batch.z_loss + size + E) + _faint(model, batch.z_loss) * (size + E) ** 2
    # The sum of both, the product with the weight of the row, the output.
    rounding = float(expm1(2 * t(model.u_i) + (log_loss(model.u_o) if model.sixteen else 0.0)))
    r = np.abs(weight)
    T_row = r * (T_row + rounding * (S + squared + T_row)) + model.tau * (1 + r)
    exact, S = weight * (rows.row_loss + squared), r * (S + squared)
    return reduced(batch, rows, model, exact, T_row, S, terms.rho, summands=summands_of(batch) + batch.n)


def _slope(terms: LossTerms, moved: F64 | float, lse: F64, E: F64, Q: F64, Qa: F64, slope: F64) -> tuple[F64, F64]:
    """The magnitude of the gradient in z, and its error."""
    batch, rows, model, g = terms.batch, terms.rows, terms.model, terms.g
    u = t(model.u_i)
    r = terms.r + u
    T = slope_error(terms, Q, Qa, terms.c, slope, g, r)
    weight = np.abs(_row_weight(batch))[..., None]
    if batch.row_weight is not None:
        # What underflows before the weight of the row scales it.
        T = T + weight * slope_error(terms, Q, Qa, terms.c, slope, np.zeros_like(g), r) + model.tau * (1 + weight)
    if not batch.z_loss:
        return g * np.abs(slope), T
    size, z = np.abs(lse), 2 * batch.z_loss
    # p may be that of the op, or exp(z - lse) of the rounded log-sum-exp, as its derivative is often computed.
    again = E + model.c_d * u * (np.abs(rows.log_p) + E + moved) + exp_error(model)
    G = np.maximum(terms.softmax.G0, again + moved)
    largest = np.where(rows.absent, 0.0, np.exp(np.minimum(rows.log_p + G, 700.0)))
    error = z * E * largest + z * size * p_expm1(rows, G) + float(expm1(3 * u)) * z * (size + E) * largest
    # p (Q + 2 zeta lse) - c, or a sum of two gradients.
    error = error + float(expm1(2 * u)) * largest * (Qa + z * (size + E))
    squared = z * lse * rows.p
    whole = np.abs(slope) + np.abs(squared) + error
    T = T + g * (error + (r + u) * whole) + u * T
    kept = batch.kept[..., None]
    lost = model.tau * (1 + g) * (1 + batch.z_loss) * (1 + 2 * (size + E)) * np.maximum(1.0, largest) * (1 + weight)
    return g * np.abs(slope + squared), T + np.where(kept, lost, 0.0)
