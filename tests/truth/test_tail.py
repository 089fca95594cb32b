"""The grade of small results: an accurate implementation keeps their relative accuracy, the usual formula does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("ml_dtypes", reason="the mutants' steps compute in bfloat16, which NumPy has from ml_dtypes")

from lossproof.adapters.protocol import Problem
from lossproof.cases.coincidences import coincidence_calls
from lossproof.core.call import Call
from lossproof.core.clauses import TAIL
from lossproof.core.formats import FORMATS
from lossproof.core.observation import Observation
from lossproof.records.changes import changes_between
from lossproof.running.loop import run
from lossproof.targets.plain_function import FunctionAdapter
from lossproof.targets.target import Target
from lossproof.truth.truth import truth
from tests.mutants.kit.algorithms import log1p
from tests.mutants.kit.loss_steps import CORRECT, Case, Loss
from tests.mutants.kit.mutant import ALL_DTYPES, ALL_WIDE
from tests.mutants.kit.softmax_steps import (
    PLAIN,
    Array,
    over_rows,
    over_rows_vjp,
    vjp_log_softmax,
    vjp_softmax,
)

GAPS = {"float64": 40.0, "float32": 40.0, "bfloat16": 40.0, "float16": 8.0}


def _others(a: Array) -> Array:
    """The sum over all other classes, term by term."""
    k = a.shape[-1]
    return np.stack([np.delete(a, i, axis=-1).sum(axis=-1, dtype=a.dtype) for i in range(k)], axis=-1)


def _accurate_softmax(x: Array, v: Array) -> Array:
    p = PLAIN.p(x)
    return p * (v * _others(p) - _others(p * v))


def _accurate_log_softmax(x: Array, v: Array) -> Array:
    p = PLAIN.p(x)
    return v * _others(p) - p * _others(v)


def _accurate_slope(case: Case, p: Array, c: Array) -> Array:
    return p * _others(c) - c * _others(p)


ACCURATE_LOSS = Loss(logp=log1p, slope=_accurate_slope)
VJPS = {"softmax": (_accurate_softmax, vjp_softmax), "log_softmax": (_accurate_log_softmax, vjp_log_softmax)}


def target(op: str, *, accurate: bool) -> Target:
    """An implementation with or without the formulas that do not cancel."""
    if op == "cross_entropy":
        of = ACCURATE_LOSS if accurate else CORRECT
        options = frozenset({"axis", "reduction", "weight", "ignore_index", "label_smoothing"})
        made = FunctionAdapter(op, op, of.value, of.grad, dtypes=ALL_DTYPES, options=options, profiles=ALL_WIDE)
        return Target(made)
    good, usual = VJPS[op]
    rows = PLAIN.p if op == "softmax" else log1p if accurate else PLAIN.y
    grad = over_rows_vjp(good if accurate else lambda x, v: usual(PLAIN.p(x), v))
    options = frozenset({"axis"})
    made = FunctionAdapter(op, op, over_rows(rows), grad, dtypes=ALL_DTYPES, options=options, profiles=ALL_WIDE)
    return Target(made)


def far_ahead(op: str, dtype: str, classes: int = 3) -> Problem:
    """One class ahead of the others in each row, and the cotangent or the label there."""
    fmt, rng = FORMATS[dtype], np.random.default_rng(3)
    at = np.array([0, classes - 1, 1])
    first = at[:, None] == np.arange(classes)
    x = fmt.round(rng.normal(size=(3, classes)) / 4 + GAPS[dtype] * first)
    if op == "cross_entropy":
        return Problem(op, dtype, x, at, cotangent=np.array([1.0, -0.5, 3.0]), reduction="none")
    return Problem(op, dtype, x, cotangent=first * 1.5)


def grades(p: Problem, *, accurate: bool) -> dict[str, str]:
    """The grade of each output; every verdict is a pass."""
    observations = list(run([target(p.op, accurate=accurate)], [Call(p, "confident")]))
    told = [o for o in observations if o.case.family == "confident"]
    assert {o.verdict for o in told} == {"pass"}, [o.message for o in told]
    return {o.output: o.conventions[TAIL] for o in told if TAIL in o.conventions}


@pytest.mark.parametrize("dtype", GAPS)
@pytest.mark.parametrize("op", ["softmax", "log_softmax", "cross_entropy"])
def test_an_accurate_implementation_is_graded_relative_and_the_usual_formula_absolute(op: str, dtype: str) -> None:
    for classes in (2, 3, 7):
        p = far_ahead(op, dtype, classes)
        good, usual = grades(p, accurate=True), grades(p, accurate=False)
        assert set(good) == set(usual) >= {"vjp"}
        assert set(good.values()) == {"relative"}
        # In float32 the difference from 1 of a 16-bit format's probability has bits left.
        assert set(usual.values()) == {"absolute"} or dtype == "float16"


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_reduced_losses_are_graded(reduction: str) -> None:
    p = replace(far_ahead("cross_entropy", "float32"), reduction=reduction, cotangent=np.array(1.0))
    assert grades(p, accurate=True) == {"value": "relative", "vjp": "relative"}
    assert grades(p, accurate=False) == {"value": "absolute", "vjp": "absolute"}


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_an_ignored_row_is_no_matter_to_what_is_reduced(reduction: str) -> None:
    """It is not confident, and one that is kept and is not takes the grade away."""
    p = replace(far_ahead("cross_entropy", "float32"), reduction=reduction, cotangent=np.array(1.0))
    assert isinstance(p.target, np.ndarray)
    more = np.vstack([p.x, [[0.5, 0.25, 0.0]]])
    ignored, kept = (replace(p, x=more, target=np.append(p.target, label), ignore_index=-100) for label in (-100, 0))
    assert grades(ignored, accurate=True)["value"] == "relative"
    assert grades(ignored, accurate=False)["value"] == "absolute"
    assert "value" not in grades(kept, accurate=True)


def test_results_that_are_not_small_have_no_grade() -> None:
    x = np.array([[1.0, 0.5, -1.0]])
    for op in ("softmax", "log_softmax"):
        assert grades(Problem(op, "float64", x, cotangent=np.ones((1, 3))), accurate=False) == {}
    p = Problem("cross_entropy", "float64", np.array([[40.0, 0.0, 0.0]]), np.array([1]), cotangent=np.array(1.0))
    # sanity check: the label is not the class ahead
    assert "value" not in grades(p, accurate=False)


def test_coincidental_cancellation_has_no_grade() -> None:
    # v - <p, v> vanishes although nothing is confident about v: (1, 1 + 2^-20).
    v = np.array([[1.0, 1.0 + 2.0**-20]])
    assert grades(Problem("softmax", "float32", np.array([[40.0, 0.0]]), cotangent=v), accurate=False) == {}


@pytest.mark.parametrize("dtype", GAPS)
def test_the_graded_results_are_exact(dtype: str) -> None:
    p = replace(far_ahead("softmax", dtype), x=np.array([[GAPS[dtype], 0.0]]), cotangent=np.array([[1.0, 0.0]]))
    tail = truth([p]).tail("vjp", "W")
    assert tail is not None
    assert tail.graded[0, 0, 0]
    small = np.exp(-GAPS[dtype])
    assert tail.exact[0, 0, 0] == pytest.approx(small / (1 + small) ** 2, rel=1e-14)
    assert tail.allowed[0, 0, 0] < 0.25 * tail.exact[0, 0, 0]


def observation(shown: str) -> Observation:
    conventions = {TAIL: shown} if shown else {}
    return Observation("softmax/float32/confident/n2-k2/00000000", "vjp", "t", "pass", conventions=conventions)


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [
        ("absolute", "relative", ["fix"]),
        ("relative", "absolute", ["convention"]),
        ("relative", "relative", []),
        ("", "absolute", []),
    ],
)
def test_a_comparison_says_gained_or_lost_and_fails_at_no_level(before: str, after: str, kinds: list[str]) -> None:
    changes = list(changes_between("t", observation(before), observation(after), same_deck=True))
    assert [c.kind for c in changes] == kinds
    assert all((c.fails, c.clause, c.before, c.after) == ("", TAIL, before, after) for c in changes)


def test_the_deck_has_graded_results_of_every_op_and_dtype() -> None:
    for dtype in GAPS:
        made = [c for c in coincidence_calls(dtype) if c.family == "confident"]
        assert {c.problem.op for c in made} == {"softmax", "log_softmax", "cross_entropy"}
        for call in made:
            assert truth([call.problem]).tail("vjp", "W") is not None
