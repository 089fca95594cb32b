"""Truth and bounds of variants (docs/variants.md): against decimal arithmetic, against the derivation one number at a
time, and against right implementations in several styles."""

from __future__ import annotations

import functools
import importlib.util
import math
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest

from lossproof import Variant
from lossproof.adapters import local
from lossproof.adapters.protocol import Problem
from lossproof.cases.variant_calls import variant_calls
from lossproof.core.batch import stack
from lossproof.core.call import Call
from lossproof.core.formats import FORMATS
from lossproof.core.profiles import Declared
from lossproof.core.variant import varied
from lossproof.functions.declaration import Declaration
from lossproof.functions.prepare import prepared
from lossproof.judging.observe import observe
from lossproof.truth.bounds.error_model import Model
from lossproof.truth.bounds.variants import scale_and_cap
from lossproof.truth.oracle.variant_formulas import transformed
from lossproof.truth.truth import Truth, truth
from tests.support.thinned import WHOLE, at_least, nightly, thinned
from tests.support.variant_losses import Fused, composed, torch_kit

VARIANTS = (
    Variant(z_loss=1e-3, softcap=20.0, logit_scale=0.7, sample_weight=True),
    Variant(z_loss=0.5),
    Variant(softcap=5.0),
    Variant(logit_scale=3.0),
    Variant(sample_weight=True),
    Variant(z_loss=0.01, softcap=50.0, logit_scale=-0.3),
)


def _tanh(a: Decimal) -> Decimal:
    e = (-2 * abs(a)).exp()
    return ((1 - e) / (1 + e)).copy_sign(a)


def in_decimals(p: Problem, x: list[list[Decimal]]) -> list[Decimal]:
    """The rows of a cross-entropy of finite logits, as docs/variants.md defines them, then the reduction."""
    # sanity check: there is a target
    assert p.target is not None
    k = len(x[0])
    w = [Decimal(float(a)) for a in (np.ones(k) if p.weight is None else p.weight)]
    r = [Decimal(float(a)) for a in (np.ones(len(x)) if p.sample_weight is None else p.sample_weight.reshape(-1))]
    eps, zeta = Decimal(p.label_smoothing), Decimal(p.z_loss)
    rows, shares = [], []
    for n, row in enumerate(x):
        z = [Decimal(p.logit_scale) * a for a in row]
        z = [Decimal(p.softcap) * _tanh(a / Decimal(p.softcap)) for a in z] if p.softcap else z
        lse = sum((a.exp() for a in z), Decimal(0)).ln()
        if p.has_probability_target:
            q, share, kept = [Decimal(float(a)) for a in p.target[n]], Decimal(1), True
        else:
            label = int(p.target[n])
            kept = label != p.ignore_index
            q, share = [Decimal(int(j == label)) for j in range(k)], w[label] if kept else Decimal(0)
        loss = -sum((w[j] * ((1 - eps) * q[j] + eps / k) * (z[j] - lse) for j in range(k)), Decimal(0))
        rows.append(r[n] * (loss + zeta * lse * lse) if kept else Decimal(0))
        shares.append(r[n] * share if kept else Decimal(0))
    total = sum(rows, Decimal(0))
    return rows if p.reduction == "none" else [total if p.reduction == "sum" else total / sum(shares, Decimal(0))]


def problems() -> Iterator[Problem]:
    rng = np.random.default_rng(1)
    for i, v in enumerate(VARIANTS):
        for reduction in ("none", "sum", "mean"):
            x = rng.normal(size=(3, 4)) * 8
            cotangent = rng.normal(size=3) if reduction == "none" else np.asarray(0.75)
            labels = Problem(
                "cross_entropy",
                "float64",
                x,
                np.array([1, 9, 3]),
                weight=rng.random(4) + 0.25,
                cotangent=cotangent,
                reduction=reduction,
                ignore_index=9,
                label_smoothing=0.125 * (i % 2),
            )
            dense = replace(labels, target=rng.dirichlet(np.ones(4), 3), weight=None, ignore_index=None)
            for p in (labels, dense):
                yield varied(v, p, rng.random(3) + 0.1 if v.sample_weight else None)


def test_values_and_gradients_are_those_of_decimal_arithmetic() -> None:
    seen = 0
    for p in thinned(problems(), to=8):
        exact = truth([p], precision=256).expected
        with localcontext() as context:
            context.prec = 90
            x = [[Decimal(float(a)) for a in row] for row in p.x]
            value = in_decimals(p, x)
            for got, low, rad, right in zip(
                exact["value"].exact.mid.ravel(),
                exact["value"].exact.low.ravel(),
                exact["value"].exact.rad.ravel(),
                value,
                strict=True,
            ):
                assert abs(Decimal(got) + Decimal(low) - right) <= Decimal(rad) + abs(right) * Decimal(10) ** -60
            # sanity check: gradients were asked for
            assert p.cotangent is not None
            g, h = p.cotangent.reshape(-1), Decimal(10) ** -25
            vjp = exact["vjp"].exact
            for n, j in np.ndindex(p.x.shape):
                ends = []
                for side in (h, -h):
                    moved = [list(row) for row in x]
                    moved[n][j] += side
                    ends.append(
                        sum((Decimal(float(a)) * b for a, b in zip(g, in_decimals(p, moved), strict=True)), Decimal(0))
                    )
                right = (ends[0] - ends[1]) / (2 * h)
                at = (0, n, j)
                other = truth([p]).expected["vjp"].other
                candidates = [Decimal(vjp.mid[at]) + Decimal(vjp.low[at])]
                candidates += [] if other is None else [Decimal(other.mid[at])]
                assert min(abs(c - right) for c in candidates) <= Decimal(10) ** -28 + abs(right) * Decimal(10) ** -28
                seen += 1
    assert seen > at_least(400, to=8)


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("profile", ["W", "N", "F"])
def test_the_error_of_scale_and_cap_is_the_derivation_as_written(dtype: str, profile: str) -> None:
    fmt = FORMATS[dtype]
    x = fmt.round(np.array([[0.0, 0.125, -3.0, 20.0, -700.0, 1e-3]]))
    for scale, cap in ((0.7, 20.0), (0.5, 3.0), (-3.0, 30.0), (0.7, 0.0), (1.0, 8.0)):
        batch = transformed(stack([Problem("softmax", dtype, x, softcap=cap, logit_scale=scale)]))
        model = Model(fmt, profile)
        got = scale_and_cap(batch, model)
        narrow = profile == "N" and dtype in ("bfloat16", "float16")
        u_o, u_s = fmt.u, (fmt.accumulator or fmt).u
        u_i = u_o if narrow else u_s
        u, us = u_i / (1 - u_i), u_s / (1 - u_s)
        eta = model.tau_i
        n_s = 0 if scale in (0.5, 1.0) else 2
        n_c = 3 if narrow else 4
        for j, v in enumerate(x[0]):
            if not cap:
                b = math.expm1(n_s * u) * abs(scale * v) + eta
                slope, E_k = abs(scale), 0.0
            else:
                a, rho = abs(scale * v) / cap, math.expm1((n_s + n_c) * u)
                t, own = math.tanh(a), 4 * math.exp(-2 * a) / (1 + math.exp(-2 * a)) ** 2
                E = rho * a * 4 * math.exp(-2 * a * (1 - rho)) / (1 + math.exp(-2 * a * (1 - rho))) ** 2
                E += eta / cap * (scale != 1) + eta
                E += math.expm1(12 * us - (math.log1p(-u_o) if narrow else 0.0)) * (t + E) + eta
                if profile == "F":
                    power = math.expm1(min(700.0, 6 * us * a - math.log1p(-6 * u_s)))
                    E += own / 2 * power + 9 * us
                b = cap * E + math.expm1(2 * u) * cap * (t + E) + eta
                E_r = max(E, b / cap + math.expm1(n_c * u) * (t + b / cap) + eta)
                e = 2 * t * E_r + E_r**2 + 2 * u * (1 + E_r)
                slope, E_k = abs(scale) * own, abs(scale) * (e + u * (own + e) + eta)
            # sanity check: there is a scale or a cap
            assert got.moved is not None
            assert got.moved[0, 0, j] == pytest.approx(b, rel=1e-9)
            assert np.broadcast_to(got.slope, x.shape)[0, j] == pytest.approx(slope, rel=1e-9) if not cap else True
            if cap:
                assert np.asarray(got.slope)[0, 0, j] == pytest.approx(slope, rel=1e-9, abs=1e-300)
                assert np.asarray(got.E)[0, 0, j] == pytest.approx(E_k, rel=1e-9)


_TRUTHS: dict[str, Truth] = {}


def exact(call: Call) -> Truth:
    """The truth of a call, computed once for all implementations."""
    if call.id not in _TRUTHS:
        _TRUTHS[call.id] = truth([call.problem])
    return _TRUTHS[call.id]


def verdicts(function: Any, v: Variant, calls: list[Any], *, wide: bool, **declared: Any) -> list[Any]:
    """Judge a function's answers to calls."""
    adapter = prepared(function, Declaration(op=calls[0].outline.op, variant=v, **declared)).adapter
    found = []
    for call in calls:
        p = call.problem
        with np.errstate(all="ignore"):
            outcome = local.answer(adapter, p, "cpu", "eager")  # type: ignore[arg-type]
        profile = "W" if wide else FORMATS[p.dtype].default_profile
        found += observe([call], exact(call), [outcome], "it", Declared(profile))
    return found


@functools.cache
def _smoke(v: Variant) -> list[Any]:
    dtypes = ("float64", "float32", "float16") if WHOLE else ("float32", "float16")
    return [*variant_calls("cross_entropy", dtypes, v, deck="smoke", seed=3)]


@pytest.mark.parametrize("wide", [False, True], ids=["narrow", "wide"])
@pytest.mark.parametrize("v", VARIANTS, ids=lambda v: "-".join(v.parts))
def test_right_implementations_are_touched_by_nothing(v: Variant, wide: bool) -> None:
    calls = _smoke(v)
    # sanity check: there are special rows, rows and classes
    assert {"nan_row", "masked"} & {c.family for c in calls}
    f = Fused(v, wide)
    found = verdicts(f.value, v, calls, wide=wide, framework="numpy", grad=f.grad)
    if importlib.util.find_spec("torch") is not None:
        found += verdicts(composed(torch_kit(), v, wide=wide), v, calls, wide=wide, framework="torch")
    assert [o.message for o in found if o.verdict not in ("pass", "convention")] == []
    assert sum(o.verdict == "pass" for o in found) > len(calls)


def _without_factor(grad: Any) -> Any:
    return lambda x, cotangent, *, axis=-1: grad(x, cotangent, axis=axis) / 1.5


@nightly
def test_softmax_and_log_softmax_have_scale_and_cap() -> None:
    v = Variant(softcap=4.0, logit_scale=1.5)

    def log_softmax(x: Any, *, axis: int = -1) -> Any:
        z = x.dtype.type(4) * np.tanh(x * x.dtype.type(1.5) / x.dtype.type(4))
        d = z - z.max(axis=axis, keepdims=True)
        return d - np.log(np.exp(d).sum(axis=axis, keepdims=True))

    def log_softmax_grad(x: Any, cotangent: Any, *, axis: int = -1) -> Any:
        t = np.tanh(x * x.dtype.type(1.5) / x.dtype.type(4))
        p = np.exp(log_softmax(x, axis=axis))
        inner = cotangent - p * cotangent.sum(axis=axis, keepdims=True)
        return inner * (1 - t * t) * x.dtype.type(1.5)

    def softmax(x: Any, *, axis: int = -1) -> Any:
        return np.exp(log_softmax(x, axis=axis))

    def softmax_grad(x: Any, cotangent: Any, *, axis: int = -1) -> Any:
        p = softmax(x, axis=axis)
        return log_softmax_grad(x, p * cotangent, axis=axis)

    for op, f, g in (("softmax", softmax, softmax_grad), ("log_softmax", log_softmax, log_softmax_grad)):
        calls = variant_calls(op, ("float64", "float32"), v)
        found = verdicts(f, v, calls, wide=False, framework="numpy", grad=g)
        assert len(found) > 300
        assert [o.message for o in found if o.verdict not in ("pass", "convention")] == []
        # A gradient without the factor is none.
        narrow = [c for c in calls if c.outline.dtype == "float32"]
        wrong = verdicts(f, v, narrow, wide=False, framework="numpy", grad=_without_factor(g))
        assert sum(o.verdict == "fail" for o in wrong) > 50


@nightly
def test_factors_below_the_normal_range_may_be_rounded_to_it() -> None:
    # 3e-8 in float16 is 2^-24 or 0, and so far off that nothing else is seen.
    for v in (Variant(z_loss=3e-8, sample_weight=True), Variant(logit_scale=1.1e-5, softcap=1.0, z_loss=0.5)):
        calls = variant_calls("cross_entropy", ("float16",), v, seed=100)
        f = Fused(v)
        found = verdicts(f.value, v, calls, wide=False, framework="numpy", grad=f.grad)
        assert [o.message for o in found if o.verdict not in ("pass", "convention")] == []
    # The rest of the bound is linear in the factor.
    p = Problem("cross_entropy", "float16", np.array([[-50.0]]), np.array([0]), reduction="none")
    twice, normal, faint = (
        truth([replace(p, z_loss=2.0**e)]).allowed("N").outputs["value"][0, 0] for e in (-13, -14, -15)
    )
    assert 2500 < (faint - normal + (twice - normal) / 2) / 2.0**-25 < 2700


def test_arguments_beyond_float64_are_capped_and_judged() -> None:
    x = np.array([[1e308, 2.0, -1e308]])
    p = Problem("cross_entropy", "float64", x, np.array([1]), softcap=1e-4, z_loss=0.5, logit_scale=7.0)
    allowed = truth([replace(p, cotangent=np.asarray(1.0))]).allowed("W").outputs
    assert allowed["value"].max() < 1e-14
    assert allowed["vjp"].max() < 1e-10


@pytest.mark.parametrize(("dtype", "size"), [("float64", 2.0**900), ("float32", 2.0**100)])
def test_a_square_that_overflows_is_nothing_without_a_z_loss(dtype: str, size: float) -> None:
    given: dict[str, Any] = {"reduction": "none", "sample_weight": np.array([1.0, 2.0])}
    one = Problem(
        "cross_entropy",
        dtype,
        np.array([[-size], [3.0]]),
        target=np.array([0, 0]),
        **given,
    )
    assert np.array_equal(truth([one]).expected["value"].exact.mid[0], [0.0, 0.0])
    two = truth([replace(one, x=np.repeat(one.x, 2, axis=1))])
    assert np.allclose(two.expected["value"].exact.mid[0], np.log(2) * np.array([1.0, 2.0]))
    assert np.all(two.allowed("W").outputs["value"] < 1e-5)
