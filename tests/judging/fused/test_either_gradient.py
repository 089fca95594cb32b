"""The pass accepts either gradient of probabilities that do not sum to 1, as the arrays do, and says which one it
is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lossproof.adapters.protocol import Outcome, Problem, Tensor
from lossproof.core.call import Call
from lossproof.core.clauses import TAIL
from lossproof.core.formats import F64, FORMATS
from lossproof.core.observation import Observation
from lossproof.core.profiles import Declared, default_profile
from lossproof.judging.fused import compiler
from lossproof.judging.fused import observe_regular as module
from lossproof.judging.fused.observe_regular import Answers, observe_regular
from lossproof.judging.observe import observe
from lossproof.truth.truth import truth
from tests.judging.fused.test_observe_regular import differ

pytestmark = pytest.mark.skipif(bool(compiler.missing()), reason=compiler.missing() or "-")

ROWS, CLASSES = 3, 24
DTYPES = ("float16", "bfloat16", "float32", "float64")


def call(dtype: str, sum_of_targets: float, *, eps: float, reduction: str) -> Call:
    """A call whose targets sum to about so much."""
    random, fmt = np.random.default_rng(5), FORMATS[dtype]
    x, e = fmt.round(random.normal(size=(ROWS, CLASSES)) * 3), np.exp(random.normal(size=(ROWS, CLASSES)))
    q = fmt.round(e / e.sum(axis=1, keepdims=True) * sum_of_targets)
    cotangent = fmt.round(random.normal(size=ROWS if reduction == "none" else ()))
    p = Problem("cross_entropy", dtype, x, q, reduction=reduction, label_smoothing=eps, cotangent=cotangent)
    return Call(p, "ordinary")


def both(one: Call) -> tuple[Observation | None, Observation, F64, F64, F64]:
    """What pass and arrays say of the second gradient, then the first one, the second one and what is allowed."""
    p = one.problem
    exact = truth([p])
    expected = exact.expected["vjp"]
    # sanity check: it has two
    assert expected.other is not None
    second = expected.other.mid[0]
    outcome = Outcome({"vjp": Tensor(FORMATS[p.dtype].round(second), p.dtype)})
    declared = Declared(default_profile(p.dtype))
    (found,) = observe_regular([one], [Answers("numpy", declared, [outcome], {(0, "vjp")})])
    (said,) = observe([one], exact, [outcome], "numpy", declared, outputs={"vjp"})
    allowed = exact.allowed(declared.profile).outputs["vjp"][0]
    return found.get((0, "vjp")), said, expected.exact.mid[0], second, allowed


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("eps", [0.0, 0.25])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_second_gradient_is_as_good_as_the_first(dtype: str, eps: float, reduction: str) -> None:
    """From targets that sum to 1 but for rounding to those that sum to something else; between them are some whose
    gradients differ by more than is allowed, and by too little to tell them apart."""
    passed = needed = shown = 0
    precision = FORMATS[dtype].precision
    sizes = range(max(1, precision - 9), precision + 3)
    for off in (sign * 2.0**-bits for bits in sizes for sign in (1, -1)):
        found, said, first, second, allowed = both(call(dtype, 1 + off, eps=eps, reduction=reduction))
        assert found is not None
        assert not differ(found, said)
        if found.verdict == "convention":
            assert found.conventions.keys() - {TAIL} == {"3"}
            shown += 1
            continue
        assert found.verdict == "pass"
        passed += 1
        needed += bool((np.abs(first - second) > 1.1 * allowed).any())
    assert passed
    assert needed
    assert shown


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_neither_stays_open(dtype: str) -> None:
    one = call(dtype, 1.0, eps=0.0, reduction="mean")
    p, exact = one.problem, truth([one.problem])
    declared = Declared(default_profile(dtype))
    allowed = exact.allowed(declared.profile).outputs["vjp"][0]
    wrong = exact.expected["vjp"].exact.mid[0].copy()
    wrong[-1, -1] += 64 * allowed[-1, -1]
    outcome = Outcome({"vjp": Tensor(FORMATS[dtype].round(wrong), dtype)})
    (found,) = observe_regular([one], [Answers("numpy", declared, [outcome], {(0, "vjp")})])
    assert not found
    # sanity check: without that entry it passes
    right = replace(outcome, outputs={"vjp": Tensor(FORMATS[dtype].round(exact.expected["vjp"].exact.mid[0]), dtype)})
    (found,) = observe_regular([one], [Answers("numpy", declared, [right], {(0, "vjp")})])
    assert found[0, "vjp"].verdict == "pass"
    assert p.has_probability_target


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_what_is_at_the_bound_of_the_second_is_left_to_arrays(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of a large call, of which the pass says what fails: by the first gradient it would."""
    monkeypatch.setattr(module, "LARGE", 0)
    one = call(dtype, 1.5, eps=0.0, reduction="sum")
    exact, declared = truth([one.problem]), Declared(default_profile(dtype))
    expected, allowed = exact.expected["vjp"], exact.allowed(declared.profile).outputs["vjp"][0]
    # sanity check: it has two
    assert expected.other is not None
    second = expected.other.mid[0]
    at = np.unravel_index(np.argmax(np.abs(second - expected.exact.mid[0]) / allowed), second.shape)
    for factor, judged in ((0.5, True), (1.0, False), (2.0, True)):
        got = second.copy()
        got[at] += factor * allowed[at] * (1 if second[at] > expected.exact.mid[0][at] else -1)
        outcome = Outcome({"vjp": Tensor(got, dtype)})
        (found,) = observe_regular([one], [Answers("numpy", declared, [outcome], {(0, "vjp")})])
        assert bool(found) == judged
        (said,) = observe([one], exact, [outcome], "numpy", declared, outputs={"vjp"})
        assert not judged or found[0, "vjp"].verdict == said.verdict
