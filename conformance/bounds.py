"""Allowed error, derived elementwise from the data. The derivation, step by step, is in docs/bounds.md.

No tolerance is chosen here: every constant is a published contract (``EXP_ULP``, ``LOG_ULP``, ``DIV_ULP``), a count
of roundings, or a property of a format.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lossproof.batch import Batch, Bools
from lossproof.floats import F64, Format
from lossproof.rows import Rows, label_weights

EXP_ULP = 3.0
LOG_ULP = 4.0
DIV_ULP = 3.0
# The formulas themselves are evaluated in float64: fewer than 2^12 roundings each, all terms non-negative.
Summation = Callable[[int], float]
_ROUND_UP = 1.0 + 2.0**-40
_EXP_CAP = 700.0


@dataclass(frozen=True)
class Model:
    """An error profile for a format.

    W: wide internals, one rounding to the IO format at each public tensor. N: every elementwise result rounded to a
    16-bit IO format, sums accumulated in at least float32. F: W with an exponential computed as a power of two.
    """

    fmt: Format
    profile: str

    @property
    def sixteen(self) -> bool:
        """Whether the IO format has 16 bits."""
        return self.fmt.is_narrow

    @property
    def narrow(self) -> bool:
        """Whether elementwise results are rounded to the 16-bit IO format."""
        return self.profile == "N" and self.sixteen

    @property
    def u_o(self) -> float:
        """Roundoff of the IO format."""
        return self.fmt.u

    @property
    def u_s(self) -> float:
        """Roundoff of accumulators."""
        return min(self.fmt.u, 2.0**-24)

    @property
    def u_i(self) -> float:
        """Roundoff of elementwise intermediates."""
        return self.u_o if self.narrow else self.u_s

    @property
    def c_d(self) -> float:
        """Roundings of the exponent's argument: the shift, and for profile F the product with a rounded log2(e)."""
        return 3.0 if self.profile == "F" else 1.0

    @property
    def tau(self) -> float:
        """Underflow: flush to zero is allowed but in float16, where half a subnormal (N: two spacings) remains."""
        if self.fmt.name == "float16":
            return 2.0**-23 if self.narrow else 2.0**-25
        return 3.0 * self.fmt.min_normal

    @property
    def tau_i(self) -> float:
        """Underflow of one elementwise intermediate: its own format is float32 for float16 outside profile N."""
        if self.fmt.name == "float16":
            return 2.0**-25 if self.narrow else 2.0**-126
        return self.fmt.min_normal


@dataclass(frozen=True)
class Allowed:
    """Allowed absolute error of each entry, in the batch's layout; ``unjudged`` (B,) marks means and mean gradients
    whose computed denominator may vanish."""

    value: F64
    vjp: F64 | None
    unjudged: Bools


def t(u: float) -> float:
    """Relative error bound of a rounding in a product chain, u / (1 - u)."""
    return u / (1.0 - u)


def log_loss(u: float) -> float:
    """``-log(1 - u)``: the largest |log| of a factor 1 + delta with |delta| <= t(u)."""
    return float(-np.log1p(-u))


def hard_sum(n: int) -> float:
    """Roundings that one term meets in a sum of n terms in any order."""
    return float(max(n - 1, 0))


def random_sum(n: int) -> float:
    """The same for terms in random order, exceeded with probability below 2 exp(-40.5) (Azuma)."""
    return float(min(max(n - 1, 0), 9.0 * np.sqrt(max(n - 1, 0))))


def _expm1(a: F64 | float) -> F64:
    return np.expm1(np.minimum(a, _EXP_CAP))


@dataclass(frozen=True)
class _Softmax:
    """Log-domain errors of softmax and log-softmax. Shapes (B, N, K)."""

    A: F64
    T_p: F64
    T_y: F64
    G0: F64
    pe: F64  # p exp(G0)


def _exp_error(m: Model) -> float:
    """Largest |log| of a computed exponential over the exact one of the same argument."""
    return log_loss(2 * EXP_ULP * m.u_s) + (log_loss(m.u_o) if m.narrow else 0.0)


def _softmax_terms(rows: Rows, m: Model, h: float, growth: F64 | float) -> _Softmax:
    d, y = np.abs(rows.d), rows.y
    e_exp = _exp_error(m)
    a = m.c_d * t(m.u_i) * d
    present = ~rows.absent
    # log(sum p exp(a)) as log1p(sum p (exp(a) - 1)): the plain form would carry float64's own roundoff.
    A_s = np.log1p(np.sum(_p_expm1(rows, a), axis=-1, keepdims=True)) + e_exp
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
    T_p = _p_expm1(rows, A) + m.tau
    lam = 2 * LOG_ULP * m.u_s + (m.u_o if m.narrow else 0.0)
    C = m.u_i * d + A_s + lam * (rows.log_s + A_s)
    T_y = C * (1 + m.u_i) + m.u_i * np.abs(y) + m.tau
    if m.sixteen and not m.narrow:
        T_y = T_y + m.u_o * (np.abs(y) + C)
    again = (m.c_d - 1) * t(m.u_i)  # not times (|y| + T_y): that sum may overflow where the product does not
    G0 = np.maximum(A, T_y + e_exp + again * np.abs(y) + again * T_y)
    pe = np.where(present, np.exp(np.minimum(y + G0, _EXP_CAP)), 0.0)
    return _Softmax(A, T_p, T_y, G0, pe)


def allow(batch: Batch, rows: Rows, m: Model, *, randomly_ordered: bool = False, online: bool = False) -> Allowed:
    """Allowed error of every output of the batch under a model.

    ``randomly_ordered`` uses the statistical summation constant, for the quality grade only. ``online`` adds the
    rescaling error of kernels that multiply partial sums by ``exp(m_old - m_new)``.
    """
    h = random_sum if randomly_ordered else hard_sum
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        if batch.op == "nll_loss":
            value, vjp, unjudged = _nll(batch, rows, m, h)
        else:
            growth = _rescalings(batch, rows) * (_exp_error(m) + t(m.u_i)) if online else 0.0
            terms = _softmax_terms(rows, m, h(batch.k), growth)
            unjudged = np.zeros(batch.x.shape[0], dtype=bool)
            if batch.op == "cross_entropy":
                value, vjp, unjudged = _cross_entropy(batch, rows, m, terms, h)
            elif batch.op == "softmax":
                value, vjp = terms.T_p, _vjp_softmax(batch, rows, m, terms.T_p, h(batch.k))
            else:
                value, vjp = terms.T_y, _vjp_log_softmax(batch, rows, m, terms, h(batch.k))
    return Allowed(_clean(value), None if vjp is None else _clean(vjp), unjudged)


def _clean(a: F64) -> F64:
    # NaN only arises as inf - inf or 0 * inf after an overflow of the bound: nothing is promised there.
    return np.where(np.isnan(a), np.inf, a * _ROUND_UP)


def _rescalings(batch: Batch, rows: Rows) -> F64:
    """Increases of the running maximum in class order, an upper bound for any block size in that order."""
    d = np.where(rows.absent, -np.inf, rows.d)
    running = np.maximum.accumulate(d, axis=-1)
    return np.sum(running[..., 1:] > running[..., :-1], axis=-1, keepdims=True).astype(np.float64)


def _vjp_softmax(batch: Batch, rows: Rows, m: Model, P: F64, h: float) -> F64 | None:
    if batch.cot is None:
        return None
    v, p = np.abs(batch.cot), rows.p
    D = np.sum(p * batch.cot, axis=-1, keepdims=True)
    beta = np.expm1((h + 2) * t(m.u_s) + (2 * m.u_o if m.narrow else 0.0))
    E = np.sum(P * v, -1, keepdims=True) + beta * np.sum((p + P) * v, -1, keepdims=True)
    E = E + m.tau_i * np.sum(v != 0, -1, keepdims=True)
    k = 6 * m.u_s + (4 * m.u_o if m.narrow else m.u_o if m.sixteen else 0.0)
    spread = v + np.abs(D) + E
    return P * np.abs(batch.cot - D) + (p + P) * E + k * (p + P) * spread + m.tau * (1 + spread)


def _vjp_log_softmax(batch: Batch, rows: Rows, m: Model, terms: _Softmax, h: float) -> F64 | None:
    if batch.cot is None:
        return None
    v = np.abs(batch.cot)
    V = np.abs(np.sum(batch.cot, axis=-1, keepdims=True))
    extra = 2 * log_loss(m.u_o) if m.narrow else 0.0
    G = terms.G0 + extra
    pe = terms.pe * np.exp(extra)
    e_v = np.expm1(h * t(m.u_s) + extra) * np.sum(v, -1, keepdims=True)
    inner = V * _p_expm1(rows, G) + pe * e_v
    k = 3 * m.u_i + (m.u_o if m.sixteen else 0.0)
    return inner + k * (v + pe * (V + e_v)) + m.tau * (2 + V + e_v)


def _p_expm1(rows: Rows, G: F64) -> F64:
    """``p (exp(G) - 1)`` without overflow, also where p has underflowed."""
    big = np.exp(np.minimum(rows.y + G, _EXP_CAP)) - rows.p
    return np.where(rows.absent, 0.0, np.where(G < 1.0, rows.p * _expm1(G), np.maximum(big, 0.0)))


def _nll(batch: Batch, rows: Rows, m: Model, h: Summation) -> tuple[F64, F64 | None, Bools]:
    u = m.u_o if m.sixteen else m.u_s
    S = np.abs(rows.row)
    T_row = (u * S if batch.weighted else 0.0 * S) + m.tau
    rho_w, unjudged = _denominator_error(batch, m, h)
    value = _reduce(batch, rows, m, h, T_row, S, rho_w, terms=batch.n)
    if batch.cot is None:
        return value, None, unjudged
    w = np.abs(label_weights(batch))[..., None]
    g = np.abs(rows.g)[..., None]
    r = _scale_error(batch, m, rho_w)
    vjp = np.where(batch.kept[..., None] & (rows.c != 0), g * w * r, 0.0) + m.tau * (1 + g + w)
    return value, vjp, unjudged


def _cross_entropy(batch: Batch, rows: Rows, m: Model, terms: _Softmax, h: Summation) -> tuple[F64, F64 | None, Bools]:
    w = np.broadcast_to(np.abs(batch.w)[:, None, :], batch.x.shape)
    q = _mixed_targets(batch)
    # Not |c|: where (1 - eps) q and eps / K cancel, the roundings of either remain.
    c = np.where(batch.kept[..., None], w * q, 0.0)
    used = c != 0
    y = np.where(used, np.abs(rows.y), 0.0)
    f = 2 + np.where(used, 1 + w + q, 0.0)
    S_full = np.sum(c * y, -1)
    ST = np.sum(np.where(used, c * terms.T_y, 0.0), -1)
    hk = h(batch.k)
    if batch.hard:
        n_v, roundings, n_q, n_c = 1.0, (2 if m.narrow else 1), 1.0, 0.0
    elif not batch.smoothed:
        n_v, roundings, n_q, n_c = hk + 2, (4 if m.narrow else 1), hk + 3, 3.0
    else:
        n_v, roundings, n_q, n_c = hk + 7, (8 if m.narrow else 5), hk + 8, 7.0
    b_v = roundings * log_loss(m.u_o) if m.sixteen else 0.0
    T_row = ST + np.expm1(n_v * t(m.u_s) + b_v) * (S_full + ST)
    T_row = T_row + m.tau * (1 + used.sum(-1) + np.sum(np.where(used, y * (2 + w + q), 0.0), -1))
    rho_w, unjudged = _denominator_error(batch, m, h)
    value = _reduce(batch, rows, m, h, T_row, S_full, rho_w, terms=batch.n if batch.hard else batch.n * batch.k)
    if batch.cot is None:
        return value, None, unjudged
    b_g = (6 if m.narrow else 4) * log_loss(m.u_o) if m.sixteen else 0.0
    Q, Qa = np.abs(rows.Q), np.sum(c, -1, keepdims=True)
    inner = Q * _p_expm1(rows, terms.G0) + terms.pe * np.expm1(n_q * t(m.u_s) + b_g) * Qa
    if not batch.hard:
        inner = inner + np.expm1(n_c * t(m.u_s) + b_g) * c
    F = np.sum(f, -1, keepdims=True)
    g = np.abs(rows.g)[..., None]
    r = _scale_error(batch, m, rho_w)
    unscaled = np.abs(rows.Q * rows.p - rows.c) + inner
    vjp = g * (inner + r * unscaled + m.tau * (Qa + f + rows.p * F))
    if batch.reduction == "mean":
        # The quotient g = cotangent / denominator may itself underflow.
        vjp = vjp + m.tau_i * unscaled
    outer = 1.0 + (used + terms.pe * used.sum(-1, keepdims=True) if m.narrow else 0.0)
    return value, vjp + m.tau * outer, unjudged


def _mixed_targets(batch: Batch) -> F64:
    if batch.q is not None:
        return (1 - batch.eps) * np.abs(batch.q) + batch.eps / batch.k
    # sanity check: a loss without probabilities has labels
    assert batch.y is not None
    return (1 - batch.eps) * (np.arange(batch.k) == batch.y[..., None]) + batch.eps / batch.k


def _denominator_error(batch: Batch, m: Model, h: Summation) -> tuple[F64, Bools]:
    """Relative error of the computed ``sum w_y`` (B, 1), and where it may reach 1."""
    if not batch.weighted or batch.y is None or batch.reduction != "mean":
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


def _scale_error(batch: Batch, m: Model, rho_w: F64) -> F64:
    rho = rho_w / (1 - rho_w) + 4 * m.u_s if batch.reduction == "mean" else np.zeros_like(rho_w)
    return (rho + 4 * m.u_i + (3 * m.u_o if m.sixteen else 0.0))[..., None]


def _reduce(batch: Batch, rows: Rows, m: Model, h: Summation, T_row: F64, S: F64, rho_w: F64, *, terms: int) -> F64:
    """Error of none (B, N), sum (B, 1) or mean (B, 1) from the row errors."""
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
    mean = np.abs(np.sum(np.where(kept, rows.row, 0.0), 1, keepdims=True)) / W
    B = (T_sum / W + mean * rho_w) / (1 - rho_w)
    # Division, and a count of rows that may need rounding.
    f = 3 * m.u_o if m.sixteen else (DIV_ULP + 1) * m.u_s
    return B + f * (np.sum(S, 1, keepdims=True) / W + B) + m.tau
