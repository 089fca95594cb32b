"""The oracles against a computation in rationals (tests/support/independent.py), and against closed forms."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from flint import ctx

from lossproof.adapters.protocol import Problem
from lossproof.core.batch import stack
from lossproof.core.formats import FORMATS
from lossproof.truth.oracle import in_balls
from lossproof.truth.oracle.enclosure import Core, Enclosure
from lossproof.truth.row_quantities import analyse
from lossproof.truth.truth import truth
from tests.support import independent
from tests.support.independent import Interval, exp, log
from tests.support.thinned import at_least, nightly, thinned

SHAPES = (((2, 3), -1), ((1, 1), -1), ((3, 2), 0), ((2, 3, 2), 1))
SCALES = {
    "float64": (1.0, 30.0, 300.0, 1e-310, 1e300),
    "float32": (1.0, 30.0, 1e-40, 1e38),
    "bfloat16": (1.0, 100.0, 1e38),
    "float16": (1.0, 30.0, 6e-8, 4e4),
}
LOSSES = [
    {"op": "nll_loss", "options": options, "reduction": reduction}
    for options in ("", "w", "wi")
    for reduction in ("none", "sum", "mean")
] + [
    {"op": "cross_entropy", "options": options, "reduction": reduction}
    for options in ("", "w", "i", "wi", "s", "swi", "q", "qw", "qs", "qsw", "W")
    for reduction in ("none", "sum", "mean")
]
LOSSES += [
    {"op": op, "options": options, "reduction": reduction}
    for op, options in (("nll_loss", "wi"), ("cross_entropy", "wi"), ("cross_entropy", "swi"), ("cross_entropy", "i"))
    for reduction in ("mean_over_rows", "mean_over_kept")
]
SIGNATURES = [{"op": op, "options": "", "reduction": "mean"} for op in ("softmax", "log_softmax")] + LOSSES


def make(dtype: str, sig: dict[str, str], shape: tuple[int, ...], axis: int, scale: float, seed: int) -> Problem:
    """A problem with every option the letters name (W: weights of mixed signs)."""
    rng = np.random.default_rng([seed, len(dtype), *shape, *map(ord, sig["op"] + sig["options"] + sig["reduction"])])
    fmt, k = FORMATS[dtype], shape[axis]
    rest = tuple(np.delete(shape, axis % len(shape)))
    x = fmt.round(rng.uniform(-1, 1, shape) * scale)
    op, options = sig["op"], sig["options"]
    if op in ("softmax", "log_softmax"):
        return Problem(op, dtype, x, axis=axis, cotangent=fmt.round(rng.normal(size=shape)))
    target = fmt.round(rng.uniform(0, 1, shape)) if "q" in options else rng.integers(0, k, rest)
    ignore = None
    if "i" in options:
        ignore = int(rng.choice([-100, 0, k - 1]))
        target = np.where(rng.integers(0, 4, rest) == 0, ignore, target)
        target.flat[0] = 0 if ignore != 0 else k - 1
        if k == 1 and ignore == 0:
            ignore = None
    weight = fmt.round(rng.uniform(0.25, 3, k)) if "w" in options else None
    if "W" in options:
        weight = fmt.round(rng.uniform(1, 3, k) * np.where(np.arange(k) % 3 == 1, -0.25, 1))
    return Problem(
        op,
        dtype,
        -np.abs(x) if op == "nll_loss" else x,
        target,
        weight,
        fmt.round(rng.normal(size=rest if sig["reduction"] == "none" else ())),
        axis,
        sig["reduction"],
        ignore,
        0.1 if "s" in options else 0.0,
    )


def exact(p: Problem) -> tuple[list[Interval | float], list[Interval] | None]:
    """The independent value and VJP of a problem."""
    dense = p.has_probability_target
    given = None if p.target is None else p.target.ravel().tolist()
    return independent.evaluate(
        p.op,
        p.x.ravel().tolist(),
        p.x.shape,
        axis=p.axis,
        labels=None if dense else given,
        q=given if dense else None,
        weight=None if p.weight is None else p.weight.tolist(),
        ignore_index=p.ignore_index,
        reduction=p.reduction,
        eps=p.label_smoothing,
        cotangent=None if p.cotangent is None else p.cotangent.ravel().tolist(),
    )


def entries(p: Problem, e: Enclosure, rows: bool) -> list[tuple[float, float, float]]:
    """Flat, row-major entries of an enclosure of one problem in its own shape."""
    parts = [a[0] for a in (e.mid, e.low, e.rad)]
    if not rows:
        return list(zip(*(a.ravel().tolist() for a in parts), strict=True))
    found: list[tuple[float, float, float]] = [(math.nan,) * 3] * p.x.size
    for n, row in enumerate(independent.positions(p.x.shape, p.axis)):
        for j, at in enumerate(row):
            mid, low, rad = (float(a[n, j]) for a in parts)
            found[at] = mid, low, rad
    return found


def check(p: Problem, core: Core, *, finer: bool = False) -> int:
    """Every independent interval lies in its enclosure (meets it, if that is finer); the number of entries compared."""
    value, vjp = exact(p)
    pairs = list(zip(value, entries(p, core["value"], rows=not p.is_loss), strict=True))
    if vjp is not None:
        pairs += list(zip(vjp, entries(p, core["vjp"], rows=True), strict=True))
    for want, (mid, low, rad) in pairs:
        if want == -math.inf:
            continue
        assert isinstance(want, Interval)
        if math.isinf(mid):
            assert abs(want.lo) > np.finfo(np.float64).max
            continue
        assert want.meets(mid, low, rad) if finer else want.within(mid, low, rad), (p, want, mid, low, rad)
    return len(pairs)


def cores(p: Problem, *precisions: int) -> list[Core]:
    batch = stack([p])
    rows = analyse(batch)
    return [in_balls.enclosures_in_balls(batch, rows, precision) for precision in precisions]


@pytest.mark.parametrize("dtype", SCALES)
def test_every_oracle_contains_the_independent_value(dtype: str) -> None:
    count = 0
    # Each shape and scale has many signatures, and each kind of signature a shape.
    some = thinned(enumerate(itertools.product(SIGNATURES, SHAPES)), to=11)
    for place, (number, (sig, (shape, axis))) in enumerate(some):
        scale = SCALES[dtype][place % len(SCALES[dtype])]
        p = make(dtype, sig, shape, axis, scale, seed=number)
        fast = truth([p]).expected
        count += check(p, {name: e.exact for name, e in fast.items()})
        count += check(p, cores(p, 128)[0])
    assert count > at_least(2000, to=11)


@pytest.mark.parametrize("dtype", SCALES)
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_the_jvp_in_the_targets_is_the_loss_of_the_direction(dtype: str, reduction: str) -> None:
    """Apart from smoothing the loss is linear in the targets: its derivative along u is (1 - eps) times that of u."""
    fmt, rng = FORMATS[dtype], np.random.default_rng(len(dtype))
    shape, eps = (2, 3), 0.25
    x, u, w = (fmt.round(rng.normal(size=s)) for s in (shape, shape, 3))
    q = np.array([[0.5, 0.25, 0.25], [1.0, 0.0, 1.0]])
    p = Problem("cross_entropy", dtype, x, q, w, reduction=reduction, label_smoothing=eps, target_tangent=u)
    plain = Problem("cross_entropy", dtype, x, u, w, reduction=reduction)
    for along, value in (
        (truth([p]).expected["jvp_target"].exact, truth([plain]).expected["value"].exact),
        (cores(p, 128)[0]["jvp_target"], cores(plain, 128)[0]["value"]),
    ):
        error = np.abs((along.mid - (1 - eps) * value.mid) + (along.low - (1 - eps) * value.low))
        assert np.all(error <= along.rad + value.rad + 2.0**-50 * np.abs(along.mid))
    # sanity check: the independent value is that of the plain problem
    check(plain, cores(plain, 128)[0])


# The scales at the ends of the format and in the middle in a change.
@pytest.mark.parametrize(
    "scale", [pytest.param(s, marks=nightly if s in (30.0, 300.0) else ()) for s in SCALES["float64"]]
)
def test_precision_is_monotone(scale: float) -> None:
    for sig in SIGNATURES[:2] + LOSSES[::5]:
        p = make("float64", sig, (2, 3), -1, scale, seed=3)
        results = cores(p, 64, 128, 256, 512)
        for coarse, fine in itertools.pairwise(results):
            for a, b in ((coarse["value"], fine["value"]), (coarse["vjp"], fine["vjp"])):
                assert a is not None
                assert b is not None
                # An enclosure holds its centre in two doubles: 105 bits are the finest it can tell.
                assert np.all(b.rad <= np.maximum(a.rad, np.abs(b.mid) * 2.0**-105))
        for result in results[:3]:
            check(p, result)
        check(p, results[3], finer=True)


def test_certify_raises_the_precision_until_the_radius_is_small() -> None:
    # p_y - 1 = -exp(-600) / (1 + exp(-600)): 866 bits cancel.
    p = Problem("cross_entropy", "float64", np.array([[0.0, -600.0]]), np.array([0]), cotangent=np.array(1.0))
    batch = stack([p])
    rows = analyse(batch)
    tried = []

    def attempt(precision: int) -> Core:
        tried.append(precision)
        return in_balls.enclosures_in_balls(batch, rows, precision)

    result = in_balls.certify(attempt)
    assert tried == [128, 256, 512, 1024]
    assert np.all(result["vjp"].rad <= 2.0**-60 * np.abs(result["vjp"].mid))
    check(p, result, finer=True)
    coarse = in_balls.enclosures_in_balls(batch, rows, 128)["vjp"]
    assert coarse is not None
    assert coarse.rad[0, 0, 0] > 1e10 * abs(coarse.mid[0, 0, 0]) or coarse.mid[0, 0, 0] == 0


def test_certify_gives_up_at_the_last_precision() -> None:
    never = {"value": Enclosure(np.ones(1), np.zeros(1), np.ones(1))}
    tried: list[int] = []

    def attempt(precision: int) -> Core:
        tried.append(precision)
        return never

    assert in_balls.certify(attempt) is never
    assert tried == list(in_balls.PRECISIONS)


def test_certify_accepts_what_float64_cannot_resolve() -> None:
    p = Problem("softmax", "float64", np.array([[0.0, -800.0]]))
    batch = stack([p])
    tried: list[int] = []

    def attempt(precision: int) -> Core:
        tried.append(precision)
        return in_balls.enclosures_in_balls(batch, analyse(batch), precision)

    result = in_balls.certify(attempt)
    assert tried == [128]
    assert 0 < result["value"].rad[0, 0, 1] <= 2.0**-1073


def test_a_remainder_below_the_smallest_float64_still_has_a_radius() -> None:
    for gap in (800.0, 5000.0, 1e300):
        p = Problem("softmax", "float64", np.array([[0.0, -gap]]), cotangent=np.array([[1.0, 0.5]]))
        for core in cores(p, 128, 256):
            assert core["value"].mid[0, 0, 1] == 0
            assert core["value"].rad[0, 0, 1] > 0
            check(p, core)


def test_enclose_is_exact_for_doubles_and_outward_otherwise() -> None:
    assert in_balls.enclose(in_balls.exactly(0.1)) == (0.1, 0.0, 0.0)
    with ctx.workprec(128):
        mid, low, rad = in_balls.enclose(in_balls.exactly(1.0) / 3)
    assert Interval(Fraction(1, 3)).within(mid, low, rad)
    assert 0 < rad < 2.0**-105
    assert abs(low) < 1e-16
    assert in_balls.enclose(in_balls.exactly(1e308) * 100) == (math.inf, 0.0, 0.0)


def test_confident_rows_have_full_relative_accuracy() -> None:
    x = np.array([[0.0, -40.0]])
    for dtype, relative in (("float64", 1e-8), ("float32", 1e3)):
        e = truth([Problem("log_softmax", dtype, x)]).expected["value"].exact
        assert e.mid[0, 0, 0] == -4.248354255291589e-18
        assert e.rad[0, 0, 0] <= relative * 4.25e-18
        want = -independent.log1p(exp(-40))
        assert want.within(float(e.mid[0, 0, 0]), float(e.low[0, 0, 0]), float(e.rad[0, 0, 0]))
    arb = cores(Problem("log_softmax", "float64", x), 128)[0]["value"]
    assert arb.rad[0, 0, 0] <= 2.0**-100 * 4.25e-18


def test_one_class_is_exact() -> None:
    for dtype, x in itertools.product(FORMATS, (0.0, -3.0, 1024.0, FORMATS["float16"].max)):
        p = Problem(
            "cross_entropy", dtype, np.array([[x]]), np.array([0]), np.array([3.0]), np.array(0.5), label_smoothing=0.1
        )
        core = cores(p, 128)[0]
        assert core["value"].mid[0, 0] == core["value"].rad[0, 0] == 0
        assert core["vjp"].mid[0, 0, 0] == core["vjp"].low[0, 0, 0] == 0
        assert core["vjp"].rad[0, 0, 0] <= 1e-37
        for op, want in (("softmax", 1.0), ("log_softmax", 0.0)):
            one = cores(
                Problem(op, dtype, np.array([[x]]), cotangent=np.array([[0.7 if dtype == "float64" else 0.5]])), 128
            )[0]
            assert (one["value"].mid[0, 0, 0], one["value"].rad[0, 0, 0]) == (want, 0.0)
            assert (one["vjp"].mid[0, 0, 0], one["vjp"].rad[0, 0, 0]) == (0.0, 0.0)


def closed_forms() -> list[tuple[list[float], list[Interval]]]:
    """Rows whose probabilities have a closed form, and these probabilities."""
    forms = [([0.25] * k, [Interval(Fraction(1, k))] * k) for k in (1, 2, 3, 7, 10)]
    for t in (1.0, 20.0, 700.0):
        forms.append(([t, 0.0], [1 / (1 + exp(-t)), 1 / (1 + exp(t))]))
        e = exp(-t)
        high, low = 1 / (2 + 3 * e), e / (2 + 3 * e)
        forms.append(([0.0, -t, 0.0, -t, -t], [high, low, high, low, low]))
    return forms


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_closed_forms(dtype: str) -> None:
    for x, p in closed_forms():
        row = np.array([x])
        soft = truth([Problem("softmax", dtype, row)]).expected["value"].exact
        logs = truth([Problem("log_softmax", dtype, row)]).expected["value"].exact
        losses = truth([Problem("cross_entropy", dtype, row, np.array([len(x) - 1]))]).expected["value"].exact
        for j, want in enumerate(p):
            at = (0, 0, j)
            assert want.within(*(float(a[at]) for a in (soft.mid, soft.low, soft.rad)))
            # log p = d - log s loses nothing where p is near 0; where it is near 1 the series sees 1 - p in 320 bits.
            assert log(want).within(*(float(a[at]) for a in (logs.mid, logs.low, logs.rad)))
        assert (-log(p[-1])).within(*(float(a[0, 0]) for a in (losses.mid, losses.low, losses.rad)))


def test_independent_series_match_known_digits() -> None:
    # Twenty published decimals each: e, ln 2, ln 10, exp(-1), zeta-free constants that no code here produced.
    known = (
        (exp(1), "2.71828182845904523536"),
        (exp(-1), "0.36787944117144232159"),
        (log(2), "0.69314718055994530941"),
        (log(10), "2.30258509299404568401"),
        (exp(log(7)), "7.00000000000000000000"),
        (log(exp(-300)), "-300.00000000000000000000"),
    )
    for interval, digits in known:
        assert abs(interval.lo - Fraction(digits)) <= Fraction(1, 10**19)
        assert interval.hi - interval.lo <= abs(interval.hi) / 10**90


def test_the_comparison_can_fail() -> None:
    p = make("float64", SIGNATURES[0], (2, 3), -1, 1.0, seed=1)
    core = cores(p, 128)[0]
    shifted = Enclosure(core["value"].mid, core["value"].low + 1e-30, core["value"].rad)
    with pytest.raises(AssertionError):
        check(p, {"value": shifted, "vjp": core["vjp"]})
