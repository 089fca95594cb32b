"""The bounds: equal to the derivation as written, sane on extremes, never under a correct implementation."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lossproof.adapters.protocol import Problem
from lossproof.core.batch import stack
from lossproof.core.formats import F64, FORMATS, Format
from lossproof.truth.bounds.allowed import Allowed, allow
from lossproof.truth.bounds.error_model import DIV_ULP, EXP_ULP, LOG_ULP, Model, hard_sum, random_sum
from lossproof.truth.bounds.softmax import rescalings
from lossproof.truth.row_quantities import analyse
from lossproof.truth.truth import Truth, truth
from tests.support.thinned import WHOLE, thinned

F32 = np.float32
PROFILES = {"float64": "WF", "float32": "WFS", "bfloat16": "WFSN", "float16": "WFSN"}
PAIRS = [(dtype, profile) for dtype, profiles in PROFILES.items() for profile in profiles]
LOSS_OPTIONS = ("", "w", "i", "s", "sw", "q", "qw", "qsw")
REDUCTIONS = ("none", "sum", "mean")


def bound(p: Problem, profile: str, *, randomly_ordered: bool = False, online: bool = False) -> Allowed:
    batch = stack([p])
    return allow(batch, analyse(batch), Model(batch.fmt, profile, online=online, random=randomly_ordered))


def share(
    p: Problem, profile: str, output: str, got: F64, *, online: bool = False, exact: Truth | None = None
) -> float:
    """The largest error over the bound, against the certified truth."""
    exact = exact or truth([p])
    e = exact.expected[output].exact
    allowed = exact.allowed(profile, online=online).outputs[output][0]
    shape = e.mid[0].shape
    error = np.abs((np.asarray(got, dtype=np.float64).reshape(shape) - e.mid[0]) - e.low[0]) - e.rad[0]
    return float((error / allowed).max())


def problem(
    op: str, options: str, dtype: str, reduction: str, seed: int, n: int = 3, k: int = 4, spread: float = 3.0
) -> Problem:
    rng = np.random.default_rng([seed, n, k])
    fmt = FORMATS[dtype]
    x = fmt.round(rng.normal(size=(n, k)) * spread)
    if op in ("softmax", "log_softmax"):
        return Problem(op, dtype, x, cotangent=fmt.round(rng.normal(size=(n, k))))
    target = fmt.round(rng.uniform(0.1, 1, (n, k))) if "q" in options else rng.integers(0, k, n)
    if "i" in options:
        target = np.where(np.arange(n) == 1, -100, target)
    weight = fmt.round(rng.uniform(0.5, 3, k)) if "w" in options else None
    cot = fmt.round(rng.normal(size=(n,) if reduction == "none" else ()))
    ignore = -100 if "i" in options else None
    x = -np.abs(x) if op == "nll_loss" else x
    return Problem(op, dtype, x, target, weight, cot, -1, reduction, ignore, 0.1 if "s" in options else 0.0)


def all_problems(dtype: str, **shape: Any) -> Iterator[Problem]:
    for op in ("softmax", "log_softmax"):
        yield problem(op, "", dtype, "mean", 1, **shape)
    for reduction in REDUCTIONS:
        for options in ("", "w", "i"):
            yield problem("nll_loss", options, dtype, reduction, 2, **shape)
        for options in LOSS_OPTIONS:
            yield problem("cross_entropy", options, dtype, reduction, 3, **shape)


# --- B2 as written, one number at a time -------------------------------------------------------------------------


def t(u: float) -> float:
    return u / (1 - u)


def ell(u: float) -> float:
    return -math.log1p(-u)


@dataclass
class Written:
    """The bounds of one row, number by number, from the text of docs/bounds.md; amendments bear their number."""

    x: list[float]
    fmt: Format
    profile: str
    # Amendment 13: what the rounding of a product with a factor moves each logit by.
    moved: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        f, k = self.fmt, len(self.x)
        self.sixteen = f.bits == 16
        self.N = self.profile == "N" and self.sixteen
        self.u_o, self.u_s = f.u, min(f.u, 2.0**-24)
        S = self.profile == "S"
        if S:
            self.u_o, self.u_s = 2 * self.u_o, 2 * self.u_s
        self.u_i = self.u_o if self.N else self.u_s
        self.c_d = {"F": 3, "S": 5.386}.get(self.profile, 1)
        self.D: float
        E, L, self.D = (3, 4.5 + 2.0**-20, 3.5 + 2.0**-20) if S else (3, 4, 3)
        half = self.u_s / 2 if S else self.u_s
        self.tau = 3 * f.min_normal
        self.tau_i = f.min_normal
        if f.name == "float16":
            self.tau, self.tau_i = (2.0**-23, 2.0**-25) if self.N else (2.0**-25, 2.0**-126)
        self.h = k - 1
        m = max(self.x)
        d = [v - m for v in self.x]
        b = self.moved or [0.0] * k
        b_m = b[self.x.index(m)]
        e = [math.exp(v) for v in d]
        s = math.fsum(e)
        self.p = [v / s for v in e]
        self.y = [v - math.log(s) for v in d]
        D = self.D
        eE = ell(self.u_o) + ell(2 * E * 2.0**-24) if self.N else ell(2 * E * half)
        d = [-(abs(v) + w + b_m) for v, w in zip(d, b, strict=True)]
        a = [self.c_d * t(self.u_i) * abs(v) + w for v, w in zip(d, b, strict=True)]
        A0 = math.log1p(math.fsum(p * math.expm1(b) for p, b in zip(self.p, a, strict=True))) + eE
        # Amendment 1: exponentials that underflow.
        faint = sum(abs(v) > -math.log(2 * self.tau_i / self.u_i) for v in d)
        A0 -= math.log1p(-faint * self.tau_i * math.exp(A0) / s)
        A_s = A0 + self.h * t(self.u_s) + (ell(self.u_o) if self.N else 0)
        last = ell(self.u_o) if self.N else D * t(self.u_i)
        self.A = [b + eE + A_s + last + (ell(self.u_o) if self.sixteen and not self.N else 0) for b in a]
        lam = 2 * L * half + (self.u_o if self.N else 0)
        log = lam * (math.log(s) + b_m + A_s)
        if S and math.log(s) - b_m - A_s <= math.log(2):
            log = max(log, 2.0**-21)
        C = [self.u_i * abs(v) + w + A_s + log for v, w in zip(d, b, strict=True)]
        wide16 = self.sixteen and not self.N
        self.Tls = [
            c * (1 + self.u_i) + self.u_i * abs(y) + (self.u_o * (abs(y) + c) if wide16 else 0) + self.tau
            for c, y in zip(C, self.y, strict=True)
        ]
        # Amendment 12: softmax as the exponential of log-probabilities that are not rounded to the IO format.
        once = ell(self.u_o) if wide16 else 0
        self.T_softmax = []
        for p, A, c, y in zip(self.p, self.A, C, self.y, strict=True):
            T = c * (1 + self.u_i) + self.u_i * abs(y) + self.tau
            B = T + eE + (self.c_d - 1) * t(self.u_i) * (abs(y) + T) + once
            self.T_softmax.append(p * math.expm1(max(A, B)) + self.tau)
        # Amendment 2: profile F rounds the argument of exp(log p) too.
        again = [(self.c_d - 1) * t(self.u_i) * (abs(y) + T) for y, T in zip(self.y, self.Tls, strict=True)]
        self.G0 = [max(A, T + eE + z) for A, T, z in zip(self.A, self.Tls, again, strict=True)]

    def vjp_softmax(self, v: list[float]) -> list[float]:
        D = math.fsum(p * b for p, b in zip(self.p, v, strict=True))
        P = self.T_softmax
        both = [p + q for p, q in zip(self.p, P, strict=True)]
        E = sum(q * abs(b) for q, b in zip(P, v, strict=True))
        E += math.expm1((self.h + 2) * t(self.u_s) + (2 * self.u_o if self.N else 0)) * sum(
            q * abs(b) for q, b in zip(both, v, strict=True)
        )
        # Amendment 3: products p_j v_j that underflow.
        E += self.tau_i * sum(b != 0 for b in v)
        k = 6 * self.u_s + (4 * self.u_o if self.N else self.u_o if self.sixteen else 0)
        return [
            P[i] * abs(v[i] - D)
            + both[i] * E
            + k * both[i] * (abs(v[i]) + abs(D) + E)
            + self.tau * (1 + abs(v[i]) + abs(D) + E)
            for i in range(len(v))
        ]

    def vjp_log_softmax(self, v: list[float]) -> list[float]:
        V, more = abs(math.fsum(v)), 2 * ell(self.u_o) if self.N else 0
        e_V = math.expm1(self.h * t(self.u_s) + more) * sum(map(abs, v))
        k = 3 * self.u_i + (self.u_o if self.sixteen else 0)
        result = []
        for p, G0, b in zip(self.p, self.G0, v, strict=True):
            G = G0 + more
            inner = V * p * math.expm1(G) + p * math.exp(G) * e_V
            # Amendment 4: tau also meets the error of V.
            result.append(inner + k * (abs(b) + p * math.exp(G) * (V + e_V)) + self.tau * (2 + V + e_V))
        return result


def written(p: Problem, profile: str) -> tuple[list[float], list[list[float]]]:
    """B2 for a whole problem: the bounds of the value (flat) and of the VJP (rows)."""
    fmt, rows = FORMATS[p.dtype], p.x.tolist()
    assert p.cotangent is not None
    w = [Written(x, fmt, profile) for x in rows]
    if not p.is_loss:
        one = [r.T_softmax if p.op == "softmax" else r.Tls for r in w]
        cots = p.cotangent.tolist()
        vjp = [r.vjp_softmax(v) if p.op == "softmax" else r.vjp_log_softmax(v) for r, v in zip(w, cots, strict=True)]
        return [v for row in one for v in row], vjp
    return _written_loss(p, w)


def _written_loss(p: Problem, w: list[Written]) -> tuple[list[float], list[list[float]]]:
    m, n, k = w[0], len(w), len(w[0].x)
    assert p.target is not None
    assert p.cotangent is not None
    eps, hard, nll = p.label_smoothing, not p.has_probability_target and p.label_smoothing == 0, p.op == "nll_loss"
    weight = [1.0] * k if p.weight is None else p.weight.tolist()
    kept = [p.has_probability_target or int(p.target[i]) != p.ignore_index for i in range(n)]
    u, u_o, u_s, u_i, tau = m.u_s, m.u_o, m.u_s, m.u_i, m.tau
    h, b16 = m.h, m.sixteen

    def beta(count: float) -> float:
        return math.expm1(count * t(u_s))

    b_v: float
    if hard:
        n_v, b_v, n_q, n_c = 1, (2 if m.N else 1), 1, 0
    elif not eps:
        n_v, b_v, n_q, n_c = h + 2, (4 if m.N else 1), h + 3, 3
    else:
        n_v, b_v, n_q, n_c = h + 7, (8 if m.N else 5), h + 8, 7
    b_v = b_v * ell(u_o) if b16 else 0.0
    b_g = (6 if m.N else 4) * ell(u_o) if b16 else 0.0
    T_row, S, losses, labels, parts = [], [], [], [], []
    for i in range(n):
        q = p.target[i].tolist() if p.has_probability_target else [float(j == int(p.target[i])) for j in range(k)]
        q = [(1 - eps) * v + eps / k for v in q]
        c = [a * b if kept[i] else 0.0 for a, b in zip(weight, q, strict=True)]
        labels.append(1.0 if p.has_probability_target else weight[int(p.target[i])] if kept[i] else 0.0)
        y = [v if c[j] else 0.0 for j, v in enumerate(p.x[i].tolist() if nll else w[i].y)]
        parts.append((q, c))
        S.append(sum(abs(a * b) for a, b in zip(c, y, strict=True)))
        losses.append(-sum(a * b for a, b in zip(c, y, strict=True)))
        if nll:
            # Amendment 10: a log-probability may be flushed before the weight scales it.
            T_row.append((u_o if b16 else u) * S[i] + tau * (1 + abs(labels[i])) if p.weight is not None else tau)
            continue
        ST = sum(abs(a) * b for a, b in zip(c, w[i].Tls, strict=True))
        used = sum(v != 0 for v in c)
        extra = sum(abs(b) * (2 + abs(a) + qj) for a, b, qj in zip(weight, y, q, strict=True))
        T_row.append(ST + math.expm1(n_v * t(u_s) + b_v) * (S[i] + ST) + tau * (1 + used + extra))
    W, R = sum(labels), 0.0
    weighted_mean = p.reduction == "mean" and p.weight is not None and not p.has_probability_target
    rho_W = 0.0
    if weighted_mean:
        R = sum(map(abs, labels)) / abs(W)
        rho_W = beta(n - 1) * R
        # B2 gives W's rounding of the denominator as u_o; amendment 5 adds the product of the two errors.
        rho_W += 4 * u_o * R if m.N else u_o * (1 + rho_W) if b16 else 0
    T_row = [T if on else 0.0 for T, on in zip(T_row, kept, strict=True)]
    if p.reduction == "none":
        value = [T if on else tau for T, on in zip(T_row, kept, strict=True)]
    else:
        M = n if hard or nll else n * k
        A = sum(T_row) + beta(M - 1) * sum(a + b for a, b in zip(S, T_row, strict=True))
        T_sum = A + ((4 if m.N else 1) * u_o * (sum(S) + A) if b16 else 0) + tau
        value = [T_sum]
        if p.reduction == "mean":
            B = (T_sum / abs(W) + abs(sum(losses) / W) * rho_W) / (1 - rho_W)
            # Amendment 6: division is within its contract, and the count of rows may be rounded.
            f = 3 * u_o if b16 else (m.D + 1) * u_s
            value = [B + f * (sum(S) / abs(W) + B) + tau]
    cots = p.cotangent.ravel().tolist()
    rho = rho_W / (1 - rho_W) + (m.D + 1) * u_s if p.reduction == "mean" else 0  # amendment 5
    r = rho + 4 * u_i + (3 * u_o if b16 else 0)
    vjp = []
    for i in range(n):
        g = (cots[i] if p.reduction == "none" else cots[0] / (W if p.reduction == "mean" else 1)) if kept[i] else 0.0
        q, c = parts[i]
        if nll:
            wy = labels[i]
            vjp.append([(abs(g * wy) * r if c[j] else 0) + tau * (1 + abs(g) + abs(wy)) for j in range(k)])
            continue
        Q, Qa = sum(c), sum(map(abs, c))
        f_row = [2 + (1 + abs(weight[j]) + q[j] if c[j] else 0) for j in range(k)]
        F, used = sum(f_row), sum(v != 0 for v in c)
        row = []
        for j in range(k):
            pj, G0 = w[i].p[j], w[i].G0[j]
            inner = abs(Q) * pj * math.expm1(G0) + pj * math.exp(G0) * math.expm1(n_q * t(u_s) + b_g) * Qa
            inner += 0 if hard else math.expm1(n_c * t(u_s) + b_g) * abs(c[j])
            z = abs(Q * pj - c[j]) + inner
            T = abs(g) * (inner + r * z + tau * (Qa + f_row[j] + pj * F))
            # Amendment 7: the quotient g may underflow.
            T += m.tau_i * z if p.reduction == "mean" else 0
            T += tau * (1 + (((c[j] != 0) + pj * math.exp(G0) * used) if m.N else 0))
            # Amendment 9: g eps / K may underflow before the weight scales it.
            ws = [abs(weight[i]) if c[i] else 0.0 for i in range(k)]
            early = m.tau_i * (ws[j] + pj * math.exp(G0) * sum(ws))
            # Amendment 11: and the cotangent's share before the denominator divides it.
            early *= 1 + (1 / ((1 - rho_W) * abs(W)) if p.reduction == "mean" else 0)
            row.append(T + (early if p.weight is not None and not hard else 0))
        vjp.append(row)
    return value, vjp


@pytest.mark.parametrize(("dtype", "profile"), PAIRS)
def test_code_equals_the_derivation_as_written(dtype: str, profile: str) -> None:
    for spread in (0.5, 8.0):
        for p in all_problems(dtype, spread=spread):
            # The text has one formula; that unnormalised targets are allowed a second one is tested apart.
            batch = stack([p])
            rows = replace(analyse(batch), either=np.zeros(batch.x.shape[:2], dtype=bool))
            got = allow(batch, rows, Model(FORMATS[dtype], profile))
            value, vjp = written(p, profile)
            np.testing.assert_allclose(got.outputs["value"].ravel(), value, rtol=1e-9, atol=0, err_msg=str(p))
            np.testing.assert_allclose(got.outputs["vjp"][0], vjp, rtol=1e-9, atol=0, err_msg=str(p))


@pytest.mark.parametrize(("dtype", "profile"), PAIRS)
def test_the_bound_of_scaled_logits_equals_the_derivation_as_written(dtype: str, profile: str) -> None:
    fmt, rng = FORMATS[dtype], np.random.default_rng(5)
    for op in ("softmax", "log_softmax"):
        for offset in (0.0, 30.0, -100.0):
            p = Problem(op, dtype, fmt.round(rng.normal(size=(4, 5)) * 3 + offset), scale=3.0)
            z = p.x * 3.0
            moved = np.where(fmt.round(z) == z, 0.0, fmt.u * np.abs(z) + fmt.underflow) * (2 if profile == "S" else 1)
            if dtype != "float64":
                # sanity check: some products are rounded
                assert moved.any()
                rows = [Written(x, fmt, profile, b) for x, b in zip(z.tolist(), moved.tolist(), strict=True)]
                told = [r.T_softmax if op == "softmax" else r.Tls for r in rows]
                expected = np.minimum(told, 2.0) if op == "softmax" else np.array(told)
                got = bound(p, profile).outputs["value"][0]
                np.testing.assert_allclose(got, expected, rtol=1e-9, atol=0)


def test_constants_are_the_published_contracts() -> None:
    assert (EXP_ULP, LOG_ULP, DIV_ULP) == (3, 4, 3)
    shaders = Model(FORMATS["float32"], "S")
    # exp2 within 3 + 2 |x| ULP of d log2(e), whose constant is rounded and whose product is, in any direction.
    assert 2 * 2 * math.log2(math.e) + 1 + 2 < 2 * shaders.contract.argument < 2 * 2 * math.log2(math.e) + 1 + 2 + 0.002
    # log2 within 3 ULP, and its product with log(2); a reciprocal within 2.5 ULP, and a product.
    assert (shaders.contract.exp, shaders.contract.near_one, shaders.u_s) == (3, 2.0**-21, 2.0**-23)
    assert 0 < 2 * shaders.contract.log - (2 * 3 + 1 + 2) < 1e-5
    assert 0 < 2 * shaders.contract.division - (2 * 2.5 + 2) < 1e-5
    assert [hard_sum(n) for n in (0, 1, 2, 1000)] == [0, 0, 1, 999]
    assert [random_sum(n) for n in (0, 1, 2, 82, 10001)] == [0, 0, 1, 81, 900]


# --- sanity on extremes --------------------------------------------------------------------------------------------


@st.composite
def extremes(draw: st.DrawFn) -> Problem:
    """Problems with every kind of number that a format has."""
    dtype = draw(st.sampled_from(sorted(FORMATS)))
    fmt = FORMATS[dtype]
    top, small = fmt.max, fmt.min_subnormal
    number = st.one_of(
        st.sampled_from([0.0, -0.0, 1.0, top, -top, small, -small, fmt.min_normal, math.inf, -math.inf, math.nan]),
        st.floats(-100, 100),
        st.floats(-top, top),
    )
    finite = number.filter(math.isfinite)
    n, k = draw(st.integers(0, 3)), draw(st.integers(1, 4))

    def array(source: st.SearchStrategy[float], *shape: int) -> F64:
        size = math.prod(shape)
        return fmt.round(
            np.array(draw(st.lists(source, min_size=size, max_size=size)), dtype=np.float64).reshape(shape)
        )

    op = draw(st.sampled_from(["softmax", "log_softmax", "nll_loss", "cross_entropy"]))
    x = array(number, n, k)
    if op in ("softmax", "log_softmax"):
        return Problem(op, dtype, x, cotangent=array(finite, n, k))
    dense = op == "cross_entropy" and draw(st.booleans())
    labels = np.array(draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n)), dtype=np.int64)
    reduction = draw(st.sampled_from(REDUCTIONS))
    return Problem(
        op,
        dtype,
        x,
        array(finite, n, k) if dense else labels,
        array(finite, k) if draw(st.booleans()) else None,
        array(finite, *((n,) if reduction == "none" else ())),
        -1,
        reduction,
        None if dense or draw(st.booleans()) else 0,
        draw(st.sampled_from([0.0, 0.1, 1.0])) if op == "cross_entropy" else 0.0,
    )


@settings(max_examples=400 if WHOLE else 50, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(p=extremes(), randomly_ordered=st.booleans(), online=st.booleans())
def test_bounds_are_never_nan_or_negative(p: Problem, randomly_ordered: bool, online: bool) -> None:
    for profile in PROFILES[p.dtype]:
        got = bound(p, profile, randomly_ordered=randomly_ordered, online=online)
        for a in (got.outputs["value"], got.outputs["vjp"]):
            assert a is not None
            assert not np.isnan(a).any()
            assert (a >= 0).all()


@settings(max_examples=400 if WHOLE else 50, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(p=extremes(), online=st.booleans())
def test_bounds_of_narrower_formats_are_finite(p: Problem, online: bool) -> None:
    # Whatever float32 holds, the formulas stay within float64: an infinite bound would hide a mistake in them.
    if p.dtype == "float64":
        return
    for profile in PROFILES[p.dtype]:
        got = bound(p, profile, online=online)
        if got.unjudged.any() or (p.reduction == "mean" and p.is_loss and analyse(stack([p])).denominator[0, 0] == 0):
            continue
        assert np.isfinite(got.outputs["value"]).all()
        assert np.isfinite(got.outputs["vjp"]).all()


@settings(max_examples=150 if WHOLE else 50, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(p=extremes())
@example(p=Problem("log_softmax", "float64", np.array([[0.0, np.finfo(np.float64).max]]), cotangent=np.zeros((1, 2))))
def test_bounds_grow_with_the_licence(p: Problem) -> None:
    wide = bound(p, "W")
    looser = [bound(p, "F"), bound(p, "W", online=True)]
    if p.dtype == "bfloat16":
        looser.append(bound(p, "N"))
    tighter = bound(p, "W", randomly_ordered=True)
    for name in ("value", "vjp"):
        w = wide.outputs[name]
        judged = ~wide.unjudged.reshape(-1, *[1] * (w.ndim - 1))
        for other in looser:
            both = judged & ~other.unjudged.reshape(-1, *[1] * (w.ndim - 1))
            assert np.all(~both | (w <= other.outputs[name] * (1 + 1e-12)))
        assert np.all(~judged | (tighter.outputs[name] <= w * (1 + 1e-12)))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_narrow_is_looser_than_wide(dtype: str) -> None:
    for p in all_problems(dtype):
        wide, narrow = bound(p, "W"), bound(p, "N")
        for name in ("value", "vjp"):
            assert np.all(wide.outputs[name] <= narrow.outputs[name])


def test_bounds_do_not_depend_on_other_problems() -> None:
    one, two = (problem("cross_entropy", "sw", "float32", "mean", seed) for seed in (1, 2))
    batch = stack([one, two])
    both = allow(batch, analyse(batch), Model(batch.fmt, "W"))
    np.testing.assert_allclose(both.outputs["value"][:1], bound(one, "W").outputs["value"], rtol=1e-14)
    np.testing.assert_allclose(both.outputs["value"][1:], bound(two, "W").outputs["value"], rtol=1e-14)


def test_where_the_denominator_may_vanish_nothing_is_judged() -> None:
    x = np.zeros((3, 2))
    for weight, expected in (([1.0, -1.0], False), ([1.0, -2.0], True), ([1.0, 0.5], False)):
        p = Problem("cross_entropy", "float32", x, np.array([0, 1, 0]), np.array(weight), np.array(1.0))
        assert bound(p, "W").unjudged[0] == expected


# --- correct implementations stay under the bound -------------------------------------------------------------------


def sequential(a: np.ndarray) -> np.ndarray:
    return np.cumsum(a, axis=-1, dtype=a.dtype)[..., -1:] if a.shape[-1] else np.zeros((*a.shape[:-1], 1), a.dtype)


def backwards(a: np.ndarray) -> np.ndarray:
    return sequential(a[..., ::-1])


def pairwise(a: np.ndarray) -> np.ndarray:
    return np.sum(a, axis=-1, keepdims=True, dtype=a.dtype)


def blocks(a: np.ndarray) -> np.ndarray:
    pad = -a.shape[-1] % 7
    wide = np.concatenate([a, np.zeros((*a.shape[:-1], pad), a.dtype)], axis=-1)
    return sequential(sequential(wide.reshape(*a.shape[:-1], -1, 7))[..., 0])


@dataclass
class Machine:
    """A correct implementation of a profile: rounds every elementwise result (N) or every public tensor (W)."""

    fmt: Format
    profile: str
    add: Callable[[np.ndarray], np.ndarray] = sequential
    reciprocal: bool = False
    saved: bool = False
    flush: bool = False

    def el(self, a: Any) -> Any:
        """An elementwise result."""
        wide = np.float64 if self.fmt.name == "float64" else F32
        a = np.asarray(a).astype(wide)
        if self.profile == "N":
            a = self.fmt.round(a.astype(np.float64)).astype(wide)
        if self.flush and not (self.profile == "N" and self.fmt.name == "float16"):
            a = np.where(np.abs(a) < np.finfo(wide).tiny, a.dtype.type(0), a)
        return a

    def io(self, a: np.ndarray) -> np.ndarray:
        """A public tensor."""
        return self.fmt.round(np.asarray(a).astype(np.float64)).astype(np.asarray(a).dtype)

    def total(self, a: np.ndarray) -> np.ndarray:
        s = self.add(self.el(a))
        return self.io(s) if self.profile == "N" else s

    def exp(self, a: np.ndarray) -> np.ndarray:
        if self.profile != "F":
            return self.el(np.exp(self.el(a)))
        log2e = np.asarray(1.4426950408889634, self.el(a).dtype)
        return self.el(np.exp2(self.el(self.el(a) * log2e)))

    def softmax(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """p and log p before they become public."""
        x = self.el(x)
        d = self.el(x - x.max(axis=-1, keepdims=True))
        e = self.exp(d)
        s = self.total(e)
        p = self.el(e * self.el(1 / s)) if self.reciprocal else self.el(e / s)
        return p, self.el(d - self.el(np.log(s)))

    def divide(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return self.el(self.el(a) * self.el(1 / self.el(b))) if self.reciprocal else self.el(self.el(a) / self.el(b))

    def __call__(self, p: Problem) -> dict[str, np.ndarray]:
        with np.errstate(all="ignore"):
            x = self.el(p.x)
            return self._loss(p, x) if p.is_loss else self._rows(p, x)

    def _rows(self, p: Problem, x: np.ndarray) -> dict[str, np.ndarray]:
        prob, y = self.softmax(x)
        assert p.cotangent is not None
        v = self.el(p.cotangent)
        if p.op == "softmax":
            prob = self.io(prob) if self.saved else prob
            inner = self.total(self.el(prob * v))
            split = self.el(self.el(prob * v) - self.el(prob * inner))
            vjp = split if self.saved else self.el(prob * self.el(v - inner))
            return {"value": self.io(prob), "vjp": self.io(vjp)}
        prob = self.exp(self.io(y)) if self.saved else prob
        return {"value": self.io(y), "vjp": self.io(self.el(v - self.el(prob * self.total(v))))}

    def _loss(self, p: Problem, x: np.ndarray) -> dict[str, np.ndarray]:
        n, k = x.shape
        assert p.target is not None
        assert p.cotangent is not None
        w = self.el(np.ones(k) if p.weight is None else p.weight)
        eps = p.label_smoothing
        kept = np.ones(n, bool)
        if p.has_probability_target:
            q, den = self.el(p.target), np.asarray([n], x.dtype)
        else:
            kept = p.target != p.ignore_index if p.ignore_index is not None else kept
            labels = np.where(kept, p.target, 0)
            q = (np.arange(k) == labels[:, None]).astype(x.dtype)
            den = (
                self.total(np.where(kept, w[labels], 0).astype(x.dtype))
                if p.weight is not None
                else np.array([kept.sum()])
            )
        q = self.el(self.el(self.el(1 - eps) * q) + self.el(eps / k)) if eps else q
        c = self.el(w * q)
        prob, y = (None, x) if p.op == "nll_loss" else self.softmax(x)
        public = self.io(y) if self.saved else y
        row = -(c * public)[c != 0] if p.op == "nll_loss" else -self.total(self.el(c * public))[:, 0]
        row = np.where(kept, self.io(self.el(row)) if self.saved else self.el(row), 0).astype(x.dtype)
        value = self.io(row) if p.reduction == "none" else self.total(row)
        g = self.el(p.cotangent)
        if p.reduction == "mean":
            value, g = self.divide(value, den), self.divide(g, den)
        value = self.io(value)
        g = np.broadcast_to(np.where(kept, g, 0).astype(x.dtype)[:, None], (n, 1))
        if prob is None:
            return {"value": value, "vjp": self.io(self.el(-g * c))}
        prob = self.exp(public) if self.saved else prob
        if eps or p.has_probability_target:
            inner = self.el(self.el(self.total(c) * prob) - c)
        else:
            inner = self.el(self.el(w[labels][:, None]) * self.el(prob - q))
        return {"value": value, "vjp": self.io(self.el(g * inner))}


def adversarial(dtype: str, seed: int, op: str, options: str, reduction: str) -> Problem:
    """Data that make sums stagnate, exponents round, weights cancel and cotangents grow."""
    rng = np.random.default_rng([seed, 99])
    fmt = FORMATS[dtype]
    n, k = [(3, 2), (2, 3), (4, 17), (2, 400), (40, 5)][seed % 5]
    u = min(fmt.u, 2.0**-24)
    kinds: list[Callable[[], Any]] = [
        lambda: rng.normal(size=(n, k)),
        lambda: rng.normal(size=(n, k)) * 30,
        lambda: np.where(np.arange(k) == 0, 0.0, np.full((n, k), math.log(0.99 * u))),
        lambda: np.where(np.arange(k) == 0, 0.0, np.full((n, k), math.log(0.99 * fmt.u))),
        lambda: np.sort(rng.uniform(-9, 9, (n, k)), axis=1),
        lambda: -np.sort(rng.uniform(0, 90, (n, k)), axis=1),
        lambda: rng.uniform(-1, 1, (n, 1)) * min(fmt.max, 1e5) / 4 + rng.normal(size=(n, k)) * 4,
        lambda: np.zeros((n, k)) + rng.normal(),
    ]
    x = fmt.round(kinds[(seed // 5) % len(kinds)]())
    big = float(rng.choice([1.0, 1.0, min(1e30, fmt.max / 2**9)]))
    if op in ("softmax", "log_softmax"):
        return Problem(op, dtype, x, cotangent=fmt.round(rng.normal(size=(n, k)) * big))
    target = fmt.round(rng.dirichlet(np.ones(k), n)) if "q" in options else rng.integers(0, k, n)
    if "i" in options:
        target = np.where(np.arange(n) == 1, -100, target)
    weight = None
    if "w" in options:
        signs = np.where(rng.integers(0, 5, k) == 0, -1, 1) if reduction != "mean" else 1
        weight = fmt.round(rng.uniform(0.25, 4, k) * signs)
    cot = fmt.round(rng.normal(size=(n,) if reduction == "none" else ()) * big)
    x = -np.abs(x) if op == "nll_loss" else x
    ignore = -100 if "i" in options else None
    return Problem(op, dtype, x, target, weight, cot, -1, reduction, ignore, 0.1 if "s" in options else 0.0)


MACHINES = [
    ("W", {"add": sequential}),
    ("W", {"add": backwards, "saved": True}),
    ("W", {"add": pairwise, "reciprocal": True}),
    ("W", {"add": blocks, "flush": True, "saved": True}),
    ("F", {"add": sequential}),
    ("F", {"add": pairwise, "saved": True, "flush": True}),
    ("N", {"add": sequential}),
    ("N", {"add": pairwise, "saved": True}),
]
RUNS = [(dtype, profile, how) for dtype in FORMATS for profile, how in MACHINES if profile in PROFILES[dtype]]


@functools.lru_cache(maxsize=1024)
def met(dtype: str, seed: int, op: str, options: str, reduction: str) -> tuple[Problem, Truth]:
    """A problem that all machines meet, and its truth."""
    p = adversarial(dtype, seed, op, options, reduction)
    return p, truth([p])


@pytest.mark.parametrize(("dtype", "profile", "how"), thinned(RUNS, to=3))
def test_correct_implementations_pass(dtype: str, profile: str, how: dict[str, Any]) -> None:
    machine = Machine(FORMATS[dtype], profile, **how)
    calls = [("softmax", "", "mean"), ("log_softmax", "", "mean")]
    calls += [("nll_loss", options, reduction) for options in ("", "w", "wi") for reduction in REDUCTIONS]
    calls += [("cross_entropy", options, reduction) for options in LOSS_OPTIONS for reduction in REDUCTIONS]
    worst = 0.0
    for op, options, reduction in calls:
        # Ten seeds of forty for softmax, eight for a loss, or a quarter of them: every kind of data meets every shape
        # across the calls.
        step = (4 if op.endswith("max") else 5) * (1 if WHOLE else 4)
        for seed in range(hash_of(op, options, reduction) % step, 40, step):
            p, exact = met(dtype, seed, op, options, reduction)
            for output, got in machine(p).items():
                if not np.isfinite(got).all():
                    # Only where the exact result itself, or a step that clause 7 names, leaves the range.
                    assert dtype == "float16"
                    continue
                worst = max(worst, share(p, profile, output, got, exact=exact))
                assert worst <= 1, (p, output, worst)
    # The bound is not vacuous either.
    assert worst > 0.3


def hash_of(*texts: str) -> int:
    return sum(map(ord, "".join(texts)))


@pytest.mark.parametrize(("dtype", "n"), [("bfloat16", 1001), ("bfloat16", 5001), ("float16", 4099)])
@pytest.mark.parametrize("profile", ["W", "N"])
def test_means_over_more_rows_than_the_format_can_count(dtype: str, n: int, profile: str) -> None:
    fmt, rng = FORMATS[dtype], np.random.default_rng(n)
    assert n > 1 / fmt.u
    assert not fmt.holds(np.array([float(n)]))
    x = fmt.round(rng.normal(size=(n, 2)) * 4)
    labels = rng.integers(0, 2, n)
    for add in (sequential, pairwise):
        for weight in (None, np.array([1.0, 0.75])):
            p = Problem("cross_entropy", dtype, x, labels, weight, np.array(1.0))
            for output, got in Machine(fmt, profile, add)(p).items():
                assert share(p, profile, output, got) <= 1


@pytest.mark.parametrize("block", [1, 7])
def test_online_softmax_passes_with_its_declared_rescalings(block: int) -> None:
    rng = np.random.default_rng(5)
    worst = 0.0
    for k in (3, 50, 400):
        x = np.sort(rng.uniform(-20, 20, (3, k)), axis=1).astype(F32)
        m = np.full((3, 1), -np.inf, F32)
        s = np.zeros((3, 1), F32)
        for start in range(0, k, block):
            part = x[:, start : start + block]
            top = np.maximum(m, part.max(axis=1, keepdims=True))
            s = s * np.exp(m - top) + sequential(np.exp(part - top))
            m = top
        p = Problem("softmax", "float32", x.astype(np.float64))
        worst = max(worst, share(p, "W", "value", np.exp(x - m) / s, online=True))
    assert worst <= 1


def test_rescalings_are_those_of_logits_that_a_huge_one_makes_equal() -> None:
    """The differences from the largest are one number in float64, and a kernel that goes from left to right rescales
    at each of the logits."""
    x = np.array([[-3.0, -np.inf, 2.0, 0.0, 2.0, 2.0**120], [0.0, 1.0, 1.0, -np.inf, 2.0, 1.0]])
    batch = stack([Problem("softmax", "float32", x)])
    assert rescalings(batch, analyse(batch)).ravel().tolist() == [2, 2]


def test_the_hard_bound_is_nearly_attained_and_is_not_statistical() -> None:
    k = 2**15
    x = np.full((1, k), float(F32(math.log(0.99 * 2.0**-24))))
    x[0, 0] = 0.0
    p = Problem("log_softmax", "float32", x)
    got = Machine(FORMATS["float32"], "W", sequential)._rows(
        Problem("log_softmax", "float32", x, cotangent=x), x.astype(F32)
    )["value"]
    assert 0.9 < share(p, "W", "value", got) <= 1
    exact = truth([p])
    statistical = exact.allowed("W", randomly_ordered=True).outputs["value"][0]
    error = np.abs(got - exact.expected["value"].exact.mid[0])
    assert (error / statistical).max() > 5


def test_signed_weights_and_huge_cotangents_keep_finite_positive_bounds() -> None:
    x = np.array([[0.0, -92.0], [1.0, 2.0], [3.0, -1.0]])
    p = Problem("cross_entropy", "float32", x, np.array([0, 1, 0]), np.array([2.0, -1.0]), np.array(1e30))
    got = bound(p, "W")
    assert np.isfinite(got.outputs["vjp"]).all()
    assert np.all(got.outputs["value"] > 0)
    # Flush to zero of p at d = -92 under g = 1e30 (docs/bounds.md, section 6) is within the bound.
    q = Problem("cross_entropy", "float32", x[:1], np.array([0]), cotangent=np.array(1e30))
    assert share(q, "W", "vjp", np.array([[0.0, 0.0]])) <= 1


# --- amendments to B2: each with the correct implementation that the formula rejected ---------------------------------


def test_amendment_1_exponentials_that_underflow_in_float16() -> None:
    fmt, k = FORMATS["float16"], 70_000
    x = np.full((1, k), float(np.float16(math.log(1.49 * 2.0**-24))))
    x[0, 0] = 0.0
    machine = Machine(fmt, "N", sequential)
    p = Problem("log_softmax", "float16", x)
    got = machine._rows(Problem("log_softmax", "float16", x, cotangent=x), x.astype(F32))["value"]
    written_share = share(p, "N", "value", got)
    assert got[0, 0] == 0
    assert 0.8 < written_share <= 1
    # Without the underflow term the allowance at the first class is smaller than the error.
    allowed = bound(p, "N").outputs["value"][0, 0, 0]
    exact = truth([p]).expected["value"].exact.mid[0, 0, 0]
    lost = (k - 1) * 2.0**-25
    assert abs(exact) > allowed - lost


def test_amendment_2_profile_f_rounds_the_argument_of_the_saved_log_probability() -> None:
    # Within the contract: d, log p, log2(e) and their product each off by u; what B2 allows is max(A, T_y + e_exp).
    m = Model(FORMATS["float32"], "F")
    x = np.array([[0.0, -60.0]])
    p = Problem("cross_entropy", "float32", x, np.array([0]), cotangent=np.array(1.0))
    drift = (t(m.u_i) * 60) * 4 + ell(6 * m.u_s)
    rows = analyse(stack([p]))
    A = 3 * t(m.u_i) * 60 + 2 * ell(6 * m.u_s) + t(m.u_s) + 3 * t(m.u_i)
    assert drift > A
    error = float(rows.p[0, 0, 1]) * math.expm1(drift)
    vjp = bound(p, "F").outputs["vjp"]
    assert vjp is not None
    assert error <= vjp[0, 0, 1]


def test_amendment_12_softmax_is_the_exponential_of_log_softmax() -> None:
    """A machine of profile W by section 1: no logarithm, no exponential and no sum of it is beyond its contract."""
    x = np.array([[12.285449981689453, -51.90467834472656, 9.887621879577637]], dtype=np.float32)
    shifted = x - x.max()
    got = np.exp(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
    v = np.array([[0.5, 1.0, -2.0]], dtype=np.float32)
    vjp = got * (v - (got * v).sum(axis=-1, keepdims=True))
    p = Problem("softmax", "float32", x.astype(np.float64), cotangent=v.astype(np.float64))
    assert share(p, "W", "value", got.astype(np.float64)) <= 1
    assert share(p, "W", "vjp", vjp.astype(np.float64)) <= 1
    rows = analyse(stack([p]))
    # Without the amendment: the argument -60 of the exponential alone, where -64 + ... is rounded twice more.
    A = t(2.0**-24) * (abs(rows.shifted) + 2 + 3) + 2 * ell(6 * 2.0**-24)
    exact = truth([p]).expected["value"].exact.mid
    assert (abs(got - exact) > rows.p * np.expm1(A) + 3 * FORMATS["float32"].min_normal).any()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("fused", [False, True])
def test_amendment_13_products_with_a_factor_are_rounded_or_fused(dtype: str, fused: bool) -> None:
    fmt, rng, without = FORMATS[dtype], np.random.default_rng(3), 0.0
    for offset in (0.0, 40.0, -300.0):
        p = Problem("softmax", dtype, fmt.round(rng.normal(size=(50, 6)) * 2 + offset), scale=3.0)
        rounded = fmt.round(p.x * 3.0)
        # In float64: the rounding of the product is all that is wrong.
        d = (p.x * 3.0 if fused else rounded) - rounded.max(axis=-1, keepdims=True)
        e = np.exp(d)
        got = {"softmax": e / e.sum(-1, keepdims=True), "log_softmax": d - np.log(e.sum(-1, keepdims=True))}
        for op, answer in got.items():
            q = replace(p, op=op)
            assert share(q, "W", "value", answer) < 1
            plain = bound(replace(q, x=rounded, scale=1.0), "W").outputs["value"]
            exact = truth([q]).expected["value"].exact.mid
            without = max(without, float(np.max(np.abs(answer - exact) / plain)))
    # A fused product errs by a common shift: without the amendment it passes, too.
    assert without > 2 or fused


def test_a_large_factor_leaves_the_bound_of_softmax_below_2_and_log_softmax_finite() -> None:
    for dtype in ("float32", "bfloat16"):
        top = FORMATS[dtype].max / 16
        for op in ("softmax", "log_softmax"):
            told = bound(Problem(op, dtype, np.array([[top, 1.0, 2.0]]), scale=3.0), "W").outputs["value"]
            assert np.isfinite(told).all()
            assert op == "log_softmax" or told.max() <= 2.1


def test_amendment_14_a_scaled_probability_that_underflows_in_a_second_derivative() -> None:
    # p_2 = 9.6e-5 under a mean over 1025 rows: g p_2 is 1.6 subnormal spacings of float16, and rounds to 2.
    n = 1025
    x, v = np.zeros((n, 2)), np.zeros((n, 2))
    x[0], v[0, 1] = (29.75, 20.5), 6.4765625
    labels, one = np.zeros(n, dtype=np.int64), np.array(1.0)
    p = Problem("cross_entropy", "float16", x, labels, cotangent=one, tangent=v)
    exact, fmt = truth([p]), FORMATS["float16"]
    q = fmt.round(exact.rows.p[0, 0])
    inner = fmt.round(fmt.round(fmt.round(np.array(1 / n)) * q) * v[0]).sum()
    got = -fmt.round(q[0] * inner)
    error = abs(got - exact.expected["hvp"].exact.mid[0, 0, 0])
    assert error <= exact.allowed("N").outputs["hvp"][0, 0, 0]
    # sanity check: the lost term is what it takes
    assert error > exact.allowed("N").outputs["hvp"][0, 0, 0] - 2.0**-24 * v[0].sum() * q[0]


def test_amendment_3_products_that_underflow_in_float16() -> None:
    k = 1000
    x = np.full((1, k), float(np.float16(-9.9)))
    v = np.full((1, k), 2.0**-11)
    x[0, 0] = v[0, 0] = 0.0
    p = Problem("softmax", "float16", x, cotangent=v)
    got = Machine(FORMATS["float16"], "N", pairwise)(p)["vjp"]
    exact = truth([p]).expected["vjp"].exact.mid[0, 0, 0]
    assert got[0, 0] == 0
    assert exact < -2e-5
    allowed = bound(p, "N").outputs["vjp"]
    assert allowed is not None
    assert share(p, "N", "vjp", got) <= 1
    assert abs(exact) > 40 * (allowed[0, 0, 0] - 999 * 2.0**-25 * 1.01)


def test_amendment_5_the_gradient_sees_the_reciprocal_of_the_denominator() -> None:
    weight = np.array([1.0, -0.9375])
    p = Problem("nll_loss", "bfloat16", np.zeros((2, 2)), np.array([0, 1]), weight, np.array(1.0))
    # rho = (2^-24 + 4 u_o) * 31 for profile N: a denominator off by that much towards 0 scales g by 1 / (1 - rho).
    rho = (math.expm1(t(2.0**-24)) + 4 * 2.0**-8) * 31
    assert 0.4 < rho < 0.5
    allowed = bound(p, "N").outputs["vjp"]
    assert allowed is not None
    assert allowed[0, 0, 0] >= 16 * (1 / (1 - rho) - 1)


def test_amendment_6_a_mean_divides_within_the_contract_of_division() -> None:
    rng = np.random.default_rng(1)
    w, lp = (rng.uniform(1, 2, 100_000).astype(F32) for _ in range(2))
    exact = 1 / w.astype(np.float64)
    nearest = exact.astype(F32)
    off = np.where(nearest > exact, np.nextafter(nearest, F32(0)), np.nextafter(nearest, F32(2)))
    # A reciprocal within one ULP, then a product.
    assert np.all(np.abs(off - exact) <= np.spacing(nearest))
    got = (w * lp).astype(F32) * off
    error = np.abs(got - lp.astype(np.float64)) / lp
    i = int(error.argmax())
    assert error[i] > 3.2 * 2.0**-24
    p = Problem("nll_loss", "float32", np.array([[-float(lp[i])]]), np.array([0]), np.array([float(w[i])]))
    assert 0.7 < share(p, "W", "value", got[i]) <= 1


def test_amendment_7_a_scale_that_underflows_in_float16() -> None:
    n = 64
    x = np.zeros((n, 2))
    p = Problem("cross_entropy", "float16", x, np.zeros(n, np.int64), np.array([100.0, 100.0]), np.array(2.0**-13))
    got = Machine(FORMATS["float16"], "N")(p)["vjp"]
    exact = truth([p]).expected["vjp"].exact.mid[0, 0, 0]
    assert got[0, 0] == 0
    assert abs(exact) > 9e-7
    allowed = bound(p, "N").outputs["vjp"]
    assert allowed is not None
    assert share(p, "N", "vjp", got) <= 1
    assert abs(exact) > 2 * (allowed[0, 0, 0] - 2.0**-25 * 51)


def test_amendment_9_a_share_that_underflows_before_its_weight() -> None:
    # float16 op by op, one row: (g eps / K) / 2^14 is 3.6e-9 and rounds to 0; times the weight 2^10 it is 3.6e-6.
    k, eps, weights = 17, 2.0**-10, np.array([2.0**10] + [2.0**14] * 16)
    p = Problem(
        "cross_entropy",
        "float16",
        np.zeros((1, k)),
        np.array([1]),
        weights,
        np.array(1.0),
        label_smoothing=eps,
    )
    f16 = np.float16
    share_of_one = f16(f16(eps / k) / f16(2.0**14))
    assert share_of_one == 0
    hard = f16(f16(1 - eps) / f16(2.0**14)) * weights.astype(f16)[1]
    pulled = -share_of_one * weights.astype(f16)
    pulled[1] -= hard
    got = (pulled - f16(1 / 17) * f16(pulled.astype(F32).sum())).astype(np.float64)
    assert share(p, "N", "vjp", got[None]) <= 1


def test_amendment_11_a_share_that_underflows_before_its_denominator() -> None:
    # float16 op by op, one row: cotangent eps / K is 2.5 quanta and rounds to 2; over 1/16 and times 2^4 that is 128.
    k, eps, weights = 511, 2.0**-10, np.array([2.0**-4] + [2.0**4] * 510)
    p = Problem(
        "cross_entropy",
        "float16",
        np.array([[1000.0] + [0.0] * (k - 1)]),
        np.array([0]),
        weights,
        np.array(0.078125),
        label_smoothing=eps,
    )
    f16 = np.float16
    share_of_all = f16(f16(0.078125) * f16(eps / k))
    pulled = -f16(share_of_all / f16(2.0**-4)) * weights.astype(f16)
    hard = f16(f16(0.078125) * f16(1 - eps))
    pulled[0] -= f16(hard / f16(2.0**-4)) * f16(2.0**-4)
    p_row = np.array([1.0] + [0.0] * (k - 1), f16)
    got = (pulled - p_row * f16(pulled.astype(F32).sum())).astype(np.float64)
    # The exact gradient of a class beside the label, and the two ways of rounding its share.
    assert abs(got[1] + 0.078125 * eps / k * 2.0**8) > 2 * 2.0**-25 * 2.0**4
    assert share(p, "N", "vjp", got[None]) <= 1


def test_amendment_8_signed_probability_targets_cancel_the_smoothing() -> None:
    q0 = float(F32(-0.055555556))
    p = Problem(
        "cross_entropy",
        "float32",
        np.array([[-1e6, 0.0]]),
        np.array([[q0, 1.0]]),
        cotangent=np.array(1.0),
        label_smoothing=0.1,
    )
    c0 = F32(0.9) * F32(q0) + F32(0.05)
    exact = truth([p]).expected["value"].exact.mid[0, 0]
    got = F32(1e6) * c0
    assert abs(float(got) - exact) > 1e-4
    assert share(p, "W", "value", np.array(float(got))) <= 1


def test_overflow_needs_a_bound_of_at_least_one_rounding() -> None:
    # Correct rounding already overflows from (2 - u) 2^emax on; clause 7 asks |exact| + bound >= max (1 + u).
    for fmt in FORMATS.values():
        threshold = (2 - fmt.u) * 2.0 ** (fmt.emax - 1)
        assert threshold * (1 + fmt.u) >= fmt.max / 2 * (1 + fmt.u)
    for dtype in FORMATS:
        for p in all_problems(dtype):
            if p.op == "nll_loss" and p.weight is None:
                continue
            exact = truth([p])
            mid = np.abs(exact.expected["value"].exact.mid)
            kept = mid > 0 if p.op in ("nll_loss", "cross_entropy") else np.ones(mid.shape, bool)
            assert np.all((exact.allowed("W").outputs["value"] >= FORMATS[dtype].u * mid)[kept])
