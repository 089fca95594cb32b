"""Special values, clause by clause of section 4: what is required, what may be, and what must be refused."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from lossproof.adapters.protocol import Problem
from lossproof.cases.clause_calls import clause_calls
from lossproof.cases.deck_part import DeckPart
from lossproof.cases.families import FAMILIES
from lossproof.core.formats import FORMATS
from lossproof.core.observation import FAILING
from lossproof.judging.judge import conventions, judge_stack
from lossproof.running.loop import run
from lossproof.targets.target import parse_target
from lossproof.truth import expected
from lossproof.truth.truth import Truth, truth
from tests.support.thinned import nightly

NAN, INF = math.nan, math.inf
DTYPES = tuple(FORMATS)
Rows = list[list[float]]


def profile(dtype: str) -> str:
    return "N" if FORMATS[dtype].is_narrow else "W"


@functools.lru_cache(maxsize=8)
def truth_of(p: Problem) -> Truth:
    """Several answers to one problem are judged."""
    return truth([p])


def entries(p: Problem, output: str, got: object) -> np.ndarray:
    """Which entries of an answer the judge accepts, in the batch's layout without its first axis."""
    exact = truth_of(p)
    shape = exact.expected[output].exact.mid.shape
    stacked = np.asarray(got, dtype=np.float64).reshape(shape)
    allowed = exact.allowed(profile(p.dtype)).outputs[output]
    judged = judge_stack(exact.expected[output], allowed, stacked, FORMATS[p.dtype])
    assert bool(judged.ok[0]) == bool(judged.entries[0].all())
    return judged.entries[0]


def good(p: Problem, output: str, got: object) -> bool:
    return bool(entries(p, output, got).all())


def swap(row: Iterable[float], at: int, value: float) -> list[float]:
    """A row with one entry replaced."""
    return [value if i == at else v for i, v in enumerate(row)]


def shown(p: Problem, output: str, got: object) -> dict[str, str]:
    expected = truth_of(p).expected[output]
    return conventions(
        expected,
        np.asarray(got, dtype=np.float64).reshape(expected.exact.mid.shape)[0],
        0,
        np.zeros(expected.exact.mid.shape),
    )


def softmax(dtype: str, x: Rows, v: Rows | None = None) -> Problem:
    return Problem("softmax", dtype, np.array(x), cotangent=None if v is None else np.array(v))


def log_softmax(dtype: str, x: Rows, v: Rows | None = None) -> Problem:
    return Problem("log_softmax", dtype, np.array(x), cotangent=None if v is None else np.array(v))


def loss(
    dtype: str,
    x: Rows,
    target: object,
    reduction: str = "none",
    op: str = "cross_entropy",
    weight: list[float] | None = None,
    ignore: int | None = None,
    eps: float = 0.0,
    cot: object = None,
) -> Problem:
    a = np.array(x, dtype=np.float64).reshape(len(x), -1 if x else 3)
    g = np.ones((len(x),) if reduction == "none" else ()) if cot is None else np.asarray(cot, dtype=np.float64)
    w = None if weight is None else np.array(weight)
    t = np.asarray(target)
    return Problem(op, dtype, a, t.astype(np.float64 if t.ndim == 2 else np.int64), w, g, -1, reduction, ignore, eps)


def rounded(dtype: str, values: object) -> np.ndarray:
    return FORMATS[dtype].round(np.asarray(values, dtype=np.float64))


@pytest.mark.parametrize("dtype", DTYPES)
def test_clause_1_nan_logits(dtype: str) -> None:
    x = [[0.0, NAN, 1.0], [0.0, 0.0, 0.0]]
    third, low = rounded(dtype, [1 / 3, math.log(1 / 3)])
    assert good(softmax(dtype, x), "value", [[NAN] * 3, [third] * 3])
    assert good(log_softmax(dtype, x), "value", [[NAN] * 3, [low] * 3])
    # A maximum that drops NaN, or one entry that escapes it.
    assert not good(softmax(dtype, x), "value", [[0.27, 0.0, 0.73], [third] * 3])
    assert entries(softmax(dtype, x), "value", [[0.27, NAN, NAN], [third] * 3]).tolist() == [
        [False, True, True],
        [True] * 3,
    ]
    assert not good(softmax(dtype, x), "value", [[NAN] * 3, [NAN, third, third]])
    for op in (softmax, log_softmax):
        p = op(dtype, x, [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
        assert good(p, "vjp", [[NAN] * 3, [0.0] * 3])
        assert not good(p, "vjp", [[0.0] * 3, [0.0] * 3])
    p = loss(dtype, x, [0, 1])
    assert good(p, "value", [NAN, -low])
    assert not good(p, "value", [0.5, -low])
    assert not good(p, "value", [NAN, NAN])
    grad = rounded(dtype, [1 / 3, 1 / 3 - 1, 1 / 3])
    assert good(p, "vjp", [[NAN] * 3, grad])
    assert not good(p, "vjp", [[NAN] * 3, [NAN] * 3])
    assert not good(p, "vjp", [[0.0] * 3, grad])
    for reduction in ("sum", "mean"):
        assert good(loss(dtype, x, [0, 1], reduction), "value", NAN)
        assert not good(loss(dtype, x, [0, 1], reduction), "value", -low)
    # The other row's gradient under mean is its own.
    assert good(loss(dtype, x, [0, 1], "mean"), "vjp", [[NAN] * 3, rounded(dtype, grad / 2)])
    # nll_loss: only the target entry counts, and its gradient does not see the values.
    assert good(loss(dtype, x, [0, 1], op="nll_loss"), "value", [0.0, 0.0])
    assert not good(loss(dtype, x, [0, 1], op="nll_loss"), "value", [NAN, 0.0])
    assert good(loss(dtype, x, [1, 1], op="nll_loss"), "value", [NAN, 0.0])
    assert not good(loss(dtype, x, [1, 1], op="nll_loss"), "value", [0.0, 0.0])
    assert good(loss(dtype, x, [1, 1], op="nll_loss"), "vjp", [[0.0, -1.0, 0.0]] * 2)
    assert not good(loss(dtype, x, [1, 1], op="nll_loss"), "vjp", [[0.0, NAN, 0.0], [0.0, -1.0, 0.0]])


@pytest.mark.parametrize("dtype", DTYPES)
def test_clause_2_masked_classes(dtype: str) -> None:
    x, fmt = [[0.0, -INF, 0.0]], FORMATS[dtype]
    half, low = 0.5, float(rounded(dtype, math.log(0.5)))
    assert good(softmax(dtype, x), "value", [[half, 0.0, half]])
    assert good(softmax(dtype, x), "value", [[half, -0.0, half]])
    for tiny in (fmt.min_subnormal, fmt.min_normal, 1e-7 if dtype != "float16" else 2.0**-23):
        assert not good(softmax(dtype, x), "value", [[half, tiny, half]])
    assert not good(softmax(dtype, x), "value", [[half, NAN, half]])
    assert not good(softmax(dtype, x), "value", [[1 / 3, 0.0, 1 / 3]])
    assert good(log_softmax(dtype, x), "value", [[low, -INF, low]])
    for wrong in (-fmt.max, -1e4, NAN, INF, 0.0):
        assert not good(log_softmax(dtype, x), "value", [[low, wrong, low]])
    assert not good(log_softmax(dtype, x), "value", [[-1.0986, -INF, -1.0986]])
    # K is unchanged: the smoothing mass of the absent class stays (weight 0 keeps it out of the loss).
    p = loss(dtype, x, [0])
    assert good(p, "value", [-low])
    assert good(p, "vjp", [[-0.5, 0.0, 0.5]])
    for wrong in (NAN, INF, 0.1):
        assert not good(p, "vjp", [[-0.5, wrong, 0.5]])
    v = [[1.0, 2.0, -1.0]]
    assert good(softmax(dtype, x, v), "vjp", [[0.5, 0.0, -0.5]])
    assert not good(softmax(dtype, x, v), "vjp", [[0.5, NAN, -0.5]])
    assert not good(softmax(dtype, x, v), "vjp", [[0.5, 2.0, -0.5]])
    assert good(log_softmax(dtype, x, v), "vjp", [[0.0, 2.0, -2.0]])
    assert not good(log_softmax(dtype, x, v), "vjp", [[0.0, 0.0, -2.0]])
    assert not good(log_softmax(dtype, x, v), "vjp", [[0.0, NAN, -2.0]])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [1, 3])
def test_clause_3_nothing_but_minus_infinity(dtype: str, k: int) -> None:
    x, ones = [[-INF] * k], [[1.0] * k]
    for make in (softmax, log_softmax):
        p = make(dtype, x, ones)
        for output in ("value", "vjp"):
            assert good(p, output, [[NAN] * k])
            for wrong in (0.0, 1 / k, -INF, INF, 1.0):
                assert not good(p, output, [swap([NAN] * k, 0, wrong)])
    p = loss(dtype, x, [0])
    assert good(p, "value", [NAN])
    assert good(p, "vjp", [[NAN] * k])
    for wrong in (INF, 0.0, -INF):
        assert not good(p, "value", [wrong])
        assert not good(p, "vjp", [[wrong] * k])
    assert not good(loss(dtype, x, [0], "sum"), "value", INF)
    assert good(loss(dtype, x, [0], "sum"), "value", NAN)


@pytest.mark.parametrize("dtype", DTYPES)
def test_clause_4_positive_infinity(dtype: str) -> None:
    one, two = [[0.0, INF, 1.0]], [[INF, 0.0, INF]]
    assert good(softmax(dtype, one), "value", [[NAN] * 3])
    assert good(softmax(dtype, one), "value", [[0.0, 1.0, 0.0]])
    assert good(softmax(dtype, one), "value", [[0.0, NAN, 0.0]])
    for wrong in ([0.0, 0.5, 0.0], [1e-30, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, INF, 0.0], [0.0, 0.0, 0.0]):
        assert not good(softmax(dtype, one), "value", [wrong])
    assert good(log_softmax(dtype, one), "value", [[-INF, 0.0, -INF]])
    assert good(log_softmax(dtype, one), "value", [[-INF, NAN, NAN]])
    assert not good(log_softmax(dtype, one), "value", [[-1e4, 0.0, -INF]])
    assert not good(log_softmax(dtype, one), "value", [[-INF, INF, -INF]])
    # Two or more: NaN at the +inf entries.
    assert good(softmax(dtype, two), "value", [[NAN, 0.0, NAN]])
    assert good(softmax(dtype, two), "value", [[NAN, NAN, NAN]])
    assert not good(softmax(dtype, two), "value", [[0.5, 0.0, 0.5]])
    assert not good(softmax(dtype, two), "value", [[NAN, 0.1, NAN]])
    assert good(log_softmax(dtype, two), "value", [[NAN, -INF, NAN]])
    assert not good(log_softmax(dtype, two), "value", [[-0.69, -INF, -0.69]])
    # Losses: the limit or NaN.
    at, beside = loss(dtype, one, [1]), loss(dtype, one, [0])
    assert good(at, "value", [0.0])
    assert good(at, "value", [NAN])
    assert not good(at, "value", [INF])
    assert not good(at, "value", [FORMATS[dtype].min_normal])
    assert good(beside, "value", [INF])
    assert good(beside, "value", [NAN])
    for value in (0.0, 1.0, FORMATS[dtype].max, -INF):
        assert not good(beside, "value", [value])
    undefined = loss(dtype, two, [0])
    assert good(undefined, "value", [NAN])
    assert not good(undefined, "value", [0.0])
    assert not good(undefined, "value", [INF])
    limit = loss(dtype, two, [1])
    assert good(limit, "value", [INF])
    assert good(limit, "value", [NAN])
    # Gradients: Q p - w q' with p one-hot.
    assert good(beside, "vjp", [[-1.0, 1.0, 0.0]])
    assert good(beside, "vjp", [[NAN] * 3])
    assert not good(beside, "vjp", [[-1.0, 0.0, 0.0]])
    assert not good(beside, "vjp", [[-1.0, 1.0, 0.5]])
    assert good(at, "vjp", [[0.0, 0.0, 0.0]])
    assert good(limit, "vjp", [[NAN, -1.0, NAN]])
    assert not good(limit, "vjp", [[0.5, -1.0, 0.5]])
    v = [[1.0, 2.0, 4.0]]
    assert good(softmax(dtype, one, v), "vjp", [[0.0, 0.0, 0.0]])
    assert good(log_softmax(dtype, one, v), "vjp", [[1.0, -5.0, 4.0]])
    assert not good(log_softmax(dtype, one, v), "vjp", [[1.0, 2.0, 4.0]])
    for reduction in ("sum", "mean"):
        p = loss(dtype, [*one, [0.0, 0.0, 0.0]], [0, 1], reduction)
        assert good(p, "value", INF)
        assert good(p, "value", NAN)
        assert not good(p, "value", 1.0986)
    assert shown(softmax(dtype, one), "value", [[0.0, 1.0, 0.0]]) == {"4": "limit"}
    assert shown(softmax(dtype, one), "value", [[0.0, NAN, 0.0]]) == {"4": "limit|nan"}


@pytest.mark.parametrize("dtype", DTYPES)
def test_clause_5_infinite_losses_and_their_sign(dtype: str) -> None:
    x = [[0.0, -INF, -INF]]
    assert good(loss(dtype, x, [1]), "value", [INF])
    for wrong in (-INF, NAN, 0.0, FORMATS[dtype].max, 100.0):
        assert not good(loss(dtype, x, [1]), "value", [wrong])
    negative = loss(dtype, x, [1], weight=[1.0, -2.0, 3.0])
    assert good(negative, "value", [-INF])
    assert not good(negative, "value", [INF])
    mixed = loss(dtype, x, [[0.0, 0.5, 0.5]], weight=[1.0, -2.0, 3.0])
    assert good(mixed, "value", [NAN])
    assert not good(mixed, "value", [INF])
    assert not good(mixed, "value", [-INF])
    # Smoothing gives every class some mass.
    assert good(loss(dtype, x, [0], eps=0.125), "value", [INF])
    assert not good(loss(dtype, x, [0], eps=0.125), "value", [0.0])
    # The gradient stays finite: p - q.
    assert good(loss(dtype, x, [1]), "vjp", [[1.0, -1.0, 0.0]])
    assert not good(loss(dtype, x, [1]), "vjp", [[1.0, NAN, 0.0]])
    assert not good(loss(dtype, x, [1]), "vjp", [[1.0, -INF, 0.0]])
    for reduction in ("sum", "mean"):
        assert good(loss(dtype, [*x, *x], [1, 0], reduction), "value", INF)
        assert not good(loss(dtype, [*x, *x], [1, 0], reduction), "value", 0.0)
        opposite = loss(dtype, [*x, *x], [1, 2], reduction, weight=[1.0, -2.0, 3.0])
        assert good(opposite, "value", NAN)
        assert not good(opposite, "value", INF)
    # A mean divides by the sum of the weights, whatever its sign.
    assert good(loss(dtype, x, [1], "mean", weight=[1.0, -2.0, 3.0]), "value", INF)
    assert not good(loss(dtype, x, [1], "mean", weight=[1.0, -2.0, 3.0]), "value", -INF)
    assert good(loss(dtype, x, [1], op="nll_loss"), "value", [INF])
    assert not good(loss(dtype, x, [1], op="nll_loss"), "value", [FORMATS[dtype].max])


@pytest.mark.parametrize("dtype", DTYPES)
def test_clause_6_zero_times_minus_infinity(dtype: str) -> None:
    x, low = [[0.0, -INF, 0.0]], float(rounded(dtype, math.log(2)))
    assert good(loss(dtype, x, [0]), "value", [low])
    assert not good(loss(dtype, x, [0]), "value", [NAN])
    dense = loss(dtype, x, [[1.0, 0.0, 0.0]])
    assert good(dense, "value", [low])
    assert good(dense, "value", [NAN])
    assert not good(dense, "value", [INF])
    assert not good(dense, "value", [0.0])
    assert shown(dense, "value", [NAN]) == {"6": "nan"}
    assert shown(dense, "value", [low]) == {"6": "limit"}
    for p in (loss(dtype, x, [1], weight=[1.0, 0.0, 2.0]), loss(dtype, x, [1], op="nll_loss", weight=[1.0, 0.0, 2.0])):
        assert good(p, "value", [0.0])
        assert good(p, "value", [NAN])
        assert not good(p, "value", [INF])
        assert not good(p, "value", [1.0])
    # A weight of 0 elsewhere is nobody's business for an index target.
    assert not good(loss(dtype, x, [0], weight=[1.0, 0.0, 2.0]), "value", [NAN])
    for p in (dense, loss(dtype, x, [0])):
        assert good(p, "vjp", [[-0.5, 0.0, 0.5]])
        assert not good(p, "vjp", [[-0.5, NAN, 0.5]])
    # Also where log p overflows for finite logits: NaN or the finite loss, but nothing else.
    top = FORMATS[dtype].max
    far = loss(dtype, [[top, -top]], [[1.0, 0.0]])
    assert good(far, "value", [0.0])
    assert good(far, "value", [NAN])
    assert not good(far, "value", [1.0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_clause_7_overflow(dtype: str) -> None:
    top = FORMATS[dtype].max
    # log p = -2 max is beyond the format: infinity, NaN or (nothing else is representable).
    p = log_softmax(dtype, [[top, -top]])
    assert good(p, "value", [[0.0, -INF]])
    assert good(p, "value", [[NAN, NAN]])
    assert not good(p, "value", [[0.0, -1.0]])
    assert not good(p, "value", [[1.0, -INF]])
    assert shown(p, "value", [[0.0, -INF]])["7"] != "nan"
    # No spurious infinity, NaN or zero where the result is representable.
    fine = log_softmax(dtype, [[top / 4, -top / 4]])
    assert good(fine, "value", [[0.0, -top / 2]])
    for wrong in (-INF, NAN, 0.0):
        assert not good(fine, "value", [[0.0, wrong]])
    rows = [[0.0, -top / 16]] * 64
    mean = loss(dtype, rows, [1] * 64, "mean")
    assert good(mean, "value", top / 16)
    if dtype == "float16":
        # The sum of 64 rows is 4 max: beyond float16, not beyond float32.
        for wrong in (INF, NAN, 0.0):
            assert not good(mean, "value", wrong)
        assert good(loss(dtype, rows, [1] * 64, "sum"), "value", INF)
    else:
        assert good(mean, "value", INF)
    if dtype != "float64":
        # (In float64 the bound's own sums overflow and allow any finite value.)
        assert not good(mean, "value", -top / 16)
    # Infinity of the right sign where |exact| + bound reaches the threshold, and only there.
    for factor, allowed in ((0.5, False), (1.0, True)):
        nll = loss(dtype, [[-top / 4]], [0], op="nll_loss", weight=[4 * factor])
        assert good(nll, "value", [top * factor])
        assert good(nll, "value", [INF]) is allowed
        assert not good(nll, "value", [-INF])
        assert not good(nll, "value", [NAN])
    big = softmax(dtype, [[0.0, 0.0, 0.0]], [[top, top, -top]])
    # -max - <p, v> overflows; float16 has float32 to form it in.
    assert good(big, "vjp", [[INF, INF, -INF]]) is (dtype != "float16")
    assert good(big, "vjp", [[NAN] * 3]) is (dtype != "float16")
    assert good(big, "vjp", rounded(dtype, [[top / 4.5, top / 4.5, -top / 2.25]]))
    assert dtype == "float64" or not good(big, "vjp", [[0.0, 0.0, 0.0]])


@pytest.mark.parametrize("reduction", ["none", "sum"])
def test_clause_7_products_of_later_derivatives_that_overflow_on_the_way(reduction: str) -> None:
    """Any two factors may be multiplied first, and a sum over rows may have infinities of both signs."""
    unit = 2.0**1022
    x, w = np.array([[0.0, -1.5 * unit], [-unit, 0.0]]), np.array([7.0, 3.0])

    def directed(t: list[list[float]]) -> Problem:
        q = np.zeros((2, 2))
        return Problem("cross_entropy", "float64", x, q, w, reduction=reduction, target_tangent=np.array(t))

    apart = directed([[0.0, 1.0], [-1.0, 0.0]])
    assert good(apart, "jvp_target", [INF, -INF] if reduction == "none" else NAN)
    early = directed([[unit, 0.0], [0.0, 0.0]])
    assert good(early, "jvp_target", [NAN, 0.0] if reduction == "none" else NAN)
    # Nothing is excused where nothing is near the range.
    near = directed([[0.25, 2.0**-5], [2.0**-5, 0.5]])
    exact = [3 * 2.0**-5 * 1.5 * unit, 7 * 2.0**-5 * unit]
    assert good(near, "jvp_target", exact if reduction == "none" else sum(exact))
    assert not good(near, "jvp_target", [NAN, exact[1]] if reduction == "none" else NAN)

    def against(cotangent: float) -> Problem:
        g = np.full(2 if reduction == "none" else (), cotangent)
        half = replace(directed([[0.0, 0.0], [0.0, 0.0]]), label_smoothing=0.5, target_tangent=None)
        return replace(half, x=x / 4, cotangent=g, wrt_target=True)

    # g w log p overflows before 1 - eps halves it.
    halved = against(2.5)
    slopes = [[0.0, unit / 8 * 2.5 * 3 * 1.5], [unit / 8 * 2.5 * 7, 0.0]]
    assert good(halved, "grad_target", slopes)
    assert good(halved, "grad_target", [[0.0, slopes[0][1]], [INF, 0.0]])
    assert not good(against(0.5), "grad_target", [[0.0, slopes[0][1] / 5], [INF, 0.0]])


def test_clause_7_float16_counts_and_classes() -> None:
    k = 70_000
    p = Problem("log_softmax", "float16", np.zeros((1, k)))
    low = float(np.float16(-math.log(k)))
    assert good(p, "value", np.full((1, k), low))
    assert not good(p, "value", np.full((1, k), -INF))
    q = Problem("softmax", "float16", np.zeros((1, k)))
    assert good(q, "value", np.full((1, k), float(np.float16(1 / k))))
    assert not good(q, "value", np.zeros((1, k)))
    n = 100_000
    mean = Problem("cross_entropy", "float16", np.zeros((n, 2)), np.zeros(n, np.int64), None, np.array(1.0))
    assert good(mean, "value", float(np.float16(math.log(2))))
    assert not good(mean, "value", 0.0)
    assert not good(mean, "value", INF)


# float64 has an oracle of its own, the narrower formats have one in common.
@pytest.mark.parametrize(
    "dtype", [pytest.param(d, marks=nightly if d in ("bfloat16", "float16") else ()) for d in DTYPES]
)
def test_clause_8_one_class(dtype: str) -> None:
    fmt = FORMATS[dtype]
    for x in (0.0, -3.0, fmt.max, -fmt.max, fmt.min_subnormal):
        of_softmax, of_log_softmax = softmax(dtype, [[x]], [[2.0]]), log_softmax(dtype, [[x]], [[2.0]])
        assert good(of_softmax, "value", [[1.0]])
        assert good(of_softmax, "vjp", [[-0.0]])
        assert not good(of_softmax, "vjp", [[1.0]])
        for wrong in (NAN, 0.5, 0.0, INF):
            assert not good(of_softmax, "value", [[wrong]])
        assert good(of_log_softmax, "value", [[-0.0]])
        for wrong in (NAN, -INF, -0.5):
            assert not good(of_log_softmax, "value", [[wrong]])
        for eps in (0.0, 0.125, 1.0):
            for target in ([0], [[2.0]]):
                p = loss(dtype, [[x]], target, "sum", weight=[-3.0], eps=eps)
                assert good(p, "value", 0.0)
                assert good(p, "value", -0.0)
                assert good(p, "vjp", [[0.0]])
                for wrong in (NAN, INF, 0.5):
                    assert not good(p, "value", wrong)
                    assert not good(p, "vjp", [[wrong]])


def test_clause_9_subnormals() -> None:
    x = [[0.0, -12.0]]
    p = softmax("float16", x)
    tiny = float(np.float16(math.exp(-12)))
    assert 0 < tiny < FORMATS["float16"].min_normal
    assert good(p, "value", [[1.0, tiny]])
    assert not good(p, "value", [[1.0, 0.0]])
    for dtype, gap in (("float64", -709.0), ("float32", -88.0), ("bfloat16", -88.0)):
        q = softmax(dtype, [[0.0, gap]])
        exact = float(rounded(dtype, math.exp(gap)))
        assert 0 < exact < FORMATS[dtype].min_normal
        assert good(q, "value", [[1.0, exact]])
        assert good(q, "value", [[1.0, 0.0]])
        assert not good(q, "value", [[1.0, 1e-30 if dtype != "float64" else 1e-300]])


@pytest.mark.parametrize("dtype", DTYPES)
def test_clause_10_empty_and_weightless(dtype: str) -> None:
    for op in ("cross_entropy", "nll_loss"):
        none = loss(dtype, [], [], "none", op=op)
        assert entries(none, "value", []).shape == (0,)
        assert good(none, "value", [])
        assert good(none, "vjp", np.zeros((0, 3)))
        assert good(loss(dtype, [], [], "sum", op=op), "value", 0.0)
        for wrong in (NAN, 1.0):
            assert not good(loss(dtype, [], [], "sum", op=op), "value", wrong)
        assert good(loss(dtype, [], [], "mean", op=op), "value", NAN)
        for wrong in (0.0, INF, 1.0):
            assert not good(loss(dtype, [], [], "mean", op=op), "value", wrong)
        x = [[0.0, -1.0, -2.0]] * 2
        ignored = loss(dtype, x, [7, 7], "mean", op=op, ignore=7)
        for fine in (NAN, 0.0):
            assert good(ignored, "value", fine)
            assert good(ignored, "vjp", np.full((2, 3), fine))
        for wrong in (INF, 1.0):
            assert not good(ignored, "value", wrong)
            assert not good(ignored, "vjp", np.full((2, 3), wrong))
        assert good(loss(dtype, x, [7, 7], "sum", op=op, ignore=7), "value", 0.0)
        assert not good(loss(dtype, x, [7, 7], "sum", op=op, ignore=7), "value", NAN)
        weightless = loss(dtype, x, [1, 1], "mean", op=op, weight=[1.0, 0.0, 1.0])
        for fine in (NAN, 0.0, INF, -INF):
            assert good(weightless, "value", fine)
            assert good(weightless, "vjp", np.full((2, 3), fine))
        assert not good(weightless, "value", 1.0)
        assert not good(weightless, "vjp", np.full((2, 3), 0.5))
        # Weights that cancel: the computed denominator is anybody's guess.
        assert good(loss(dtype, x, [0, 1], "mean", op=op, weight=[1.0, -1.0, 1.0]), "value", 3.0)
    assert shown(loss(dtype, [[0.0, 1.0]], [9], "mean", ignore=9), "value", 0.0) == {"10": "zero"}
    assert good(loss(dtype, [], np.zeros((0, 3)), "mean"), "value", NAN)


@pytest.mark.parametrize("dtype", DTYPES)
def test_clause_11_ignored_rows(dtype: str) -> None:
    low, grad = float(rounded(dtype, math.log(2))), [-0.5, 0.5]
    half = rounded(dtype, [-0.5, 0.5])
    for bad in ([NAN, 0.0], [INF, 0.0], [-INF, -INF], [INF, INF]):
        x = [bad, [0.0, 0.0]]
        none = loss(dtype, x, [5, 0], ignore=5)
        assert good(none, "value", [0.0, low])
        for wrong in (NAN, INF, FORMATS[dtype].min_normal):
            assert not good(none, "value", [wrong, low])
        assert good(none, "vjp", [[0.0, 0.0], grad])
        assert good(none, "vjp", [[NAN, NAN], grad])
        for wrong in (INF, 0.25, FORMATS[dtype].min_normal):
            assert not good(none, "vjp", [[wrong, 0.0], grad])
        assert not good(none, "vjp", [[0.0, 0.0], [NAN, NAN]])
        for reduction in ("sum", "mean"):
            p = loss(dtype, x, [5, 0], reduction, ignore=5)
            assert good(p, "value", low)
            assert not good(p, "value", NAN)
            assert good(p, "vjp", [[0.0, 0.0], half])
    masked = loss(dtype, [[-INF, 0.0], [0.0, 0.0]], [5, 0], ignore=5)
    assert good(masked, "vjp", [[0.0, 0.0], grad])
    assert not good(masked, "vjp", [[NAN, NAN], grad])
    assert not good(masked, "vjp", [[FORMATS[dtype].min_subnormal, 0.0], grad])
    # An ignored index that is also a class: every row with that label is ignored.
    own = loss(dtype, [[NAN, 0.0], [0.0, 0.0]], [1, 0], "mean", ignore=1)
    assert good(own, "value", low)
    assert not good(own, "value", NAN)


def test_precedence_where_clauses_meet() -> None:
    # 11 over 1, 1 over 4, 4 over 2, 3 over 10.
    assert good(loss("float32", [[NAN, INF]], [5], "sum", ignore=5), "value", 0.0)
    assert good(softmax("float32", [[NAN, INF, -INF]]), "value", [[NAN] * 3])
    assert not good(softmax("float32", [[NAN, INF, -INF]]), "value", [[NAN, 1.0, 0.0]])
    assert good(softmax("float32", [[INF, -INF]]), "value", [[1.0, 0.0]])
    assert good(softmax("float32", [[INF, -INF]]), "value", [[NAN, NAN]])
    assert not good(softmax("float32", [[INF, -INF]]), "value", [[1.0, 1e-30]])


def test_calls_by_hand() -> None:
    calls = clause_calls()
    assert {c.family for c in calls} <= set(FAMILIES)
    found = list(run([parse_target("numpy")], calls))
    assert [o.message for o in found if o.verdict in FAILING] == []
    assert {o.id for o in found if o.verdict != "unsupported"} >= {c.id for c in calls}
    some = clause_calls(DeckPart(ops=["softmax"], dtypes=["float16"], families=["nan_row"]))
    assert {(c.problem.op, c.problem.dtype, c.family) for c in some} == {("softmax", "float16", "nan_row")}


def test_rows_that_float64_cannot_hold_may_give_nan_where_their_sum_is_finite() -> None:
    top = FORMATS["float64"].max
    x, weight = np.array([[-top, -1.0], [-1.0, -top]]), np.array([4.0, -3.5])
    p = Problem("nll_loss", "float64", x, np.array([0, 1]), weight, reduction="sum")
    value = truth([p]).expected["value"]
    # sanity check: the exact sum is representable
    assert value.exact.mid[0, 0] == top / 2
    assert value.accept[0, 0] & expected.NAN
    assert value.clause[0, 0] == 7


def test_a_mean_of_rows_that_float64_cannot_hold_is_what_the_weights_leave_of_it() -> None:
    """Weights that are divided by the denominator first are right: a mean of one row is its loss without a weight."""
    x, weight = np.array([[-1.75e308, -9e307]]), np.array([2.25, 1.0])
    p = Problem("cross_entropy", "float64", x, np.array([0]), weight, reduction="mean")
    value = truth([p]).expected["value"]
    # sanity check: float64 holds the mean, but not the weighted loss of the row
    assert value.exact.mid[0, 0] == pytest.approx(8.5e307)
    assert value.accept[0, 0] & expected.PINF
    none = truth([replace(p, reduction="none")]).expected["value"]
    assert none.exact.mid[0, 0] == np.inf


def test_a_masked_target_is_infinite_where_the_rest_of_its_row_is_beyond_float64() -> None:
    x, q = np.array([[-np.inf, 1e308, -1e308]]), np.array([[0.25, 0.5, 0.5]])
    p = Problem("cross_entropy", "float64", x, q, np.array([1.0, 1.0, 4.0]), reduction="none")
    assert truth([p]).expected["value"].exact.mid[0, 0] == np.inf
    assert truth([replace(p, weight=np.array([-1.0, 1.0, 4.0]))]).expected["value"].exact.mid[0, 0] == -np.inf
