"""Means of another name, and targets that must sum to 1: declared, and judged by their own formula.

Section 2 of the specification.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ml_dtypes", reason="mutants compute in bfloat16, which NumPy has from ml_dtypes")

from lossproof import Report, check_implementation
from lossproof.adapters.protocol import DTYPES, MEANS, Problem
from lossproof.cases.catalogue import relation_checks
from lossproof.cases.deck import deck_calls
from lossproof.cases.deck_part import DeckPart
from lossproof.core.batch import stack
from lossproof.core.call import Call
from lossproof.core.case_id import Kind
from lossproof.core.observation import FAILING
from lossproof.core.operations import solved_by
from lossproof.running.group_judge import truths_of
from lossproof.running.loop import run
from lossproof.running.timing import Clock
from lossproof.truth.row_quantities import counted
from lossproof.truth.truth import truth
from tests.mutants.kit.loss_mistakes import all_rows, kept_rows, only_whole
from tests.mutants.kit.loss_steps import NLL, Case, Loss, sum_of_weights
from tests.mutants.kit.mutant import ALL_WIDE
from tests.mutants.matrix.registry import collect
from tests.support.thinned import WHOLE, nightly

DENOMINATORS = {"mean": sum_of_weights, "mean_over_rows": all_rows, "mean_over_kept": kept_rows}
X, Y, W = np.zeros((3, 2)), np.array([0, 1, 9]), np.array([1.0, 3.0])


def problem(mean: str, **given: Any) -> Problem:
    values: dict[str, Any] = {"weight": W, "ignore_index": 9, "cotangent": np.ones(()), **given}
    return solved_by(Problem("cross_entropy", "float32", X, Y, **values), mean)


def judged(op: str, implemented: str, declared: str) -> Report:
    def denominator(case: Case) -> np.ndarray:
        return DENOMINATORS[implemented if case.labels is not None else "mean_over_rows"](case)

    of = replace(NLL if op == "nll_loss" else Loss(), denominator=denominator)
    given: dict[str, Any] = {
        "grad": of.grad,
        "mean": declared,
        "dtypes": ("float32", "float16") if WHOLE else ("float32",),
        "error_profiles": ALL_WIDE,
    }
    return check_implementation(of.value, op=op, deck="smoke", errors=WHOLE, **given)


# The denominator is of no op: both have one in all pairs at night, and in every run each of them one of some pairs.
PAIRS = [
    pytest.param(op, implemented, declared, marks=() if turn % 8 == (3 if op == "nll_loss" else 0) else nightly)
    for turn, (implemented, declared) in enumerate(itertools.product(MEANS, MEANS))
    for op in ("nll_loss", "cross_entropy")
]


@pytest.mark.parametrize(("op", "implemented", "declared"), PAIRS)
def test_a_mean_is_judged_by_the_formula_that_is_declared(op: str, implemented: str, declared: str) -> None:
    report = judged(op, implemented, declared)
    assert report.ok == (implemented == declared), [o.message for o in report.failures][:3]
    values = [o for o in report.failures if o.case.kind is Kind.CALL]
    assert bool(values) == (implemented != declared)
    assert all(f"-{declared}" in o.message for o in values)


@pytest.mark.parametrize(("mean", "denominator"), [("mean", 4.0), ("mean_over_rows", 3.0), ("mean_over_kept", 2.0)])
def test_denominators(mean: str, denominator: float) -> None:
    p = problem(mean)
    assert counted(stack([p])).sum() == denominator
    exact = truth([p]).expected
    assert exact["value"].exact.mid[0, 0] == pytest.approx(4 * np.log(2) / denominator)
    assert exact["vjp"].exact.mid[0] == pytest.approx(np.array([[-0.5, 0.5], [1.5, -1.5], [0, 0]]) / denominator)


def test_all_rows_ignored() -> None:
    """Over rows there is a denominator; over kept rows it is 0 / 0, as over weights (clause 10)."""
    for mean, value in (("mean", np.nan), ("mean_over_rows", 0.0), ("mean_over_kept", np.nan)):
        exact = truth([replace(problem(mean), target=np.full(3, 9))])
        np.testing.assert_equal(exact.expected["value"].exact.mid[0, 0], value)
        assert np.all(exact.expected["vjp"].exact.mid == 0)


def test_weights_that_cancel_matter_to_the_mean_over_weights_alone() -> None:
    cancelling = {"weight": np.array([1.0, -1.0])}
    assert truth([problem("mean", **cancelling)]).allowed("W").unjudged[0]
    for mean in MEANS[1:]:
        assert not truth([problem(mean, **cancelling)]).allowed("W").unjudged[0]


def test_only_means_of_labels_have_other_names() -> None:
    dense = Problem("cross_entropy", "float32", X, np.eye(2)[[0, 1, 1]])
    for p in (dense, replace(problem("mean"), reduction="sum"), Problem("softmax", "float32", X)):
        assert solved_by(p, "mean_over_rows") is p
    truths = truths_of([dense], MEANS)
    assert len({id(t) for t in truths.values()}) == 1
    assert len({id(t) for t in truths_of([problem("mean")], MEANS).values()}) == 3


@pytest.mark.parametrize("mean", MEANS[1:])
def test_relations_know_the_denominator(mean: str) -> None:
    target = collect()[f"control cross_entropy: {mean.replace('_', ' ').replace('kept', 'kept rows')}"].target()
    deck = deck_calls("smoke", DeckPart(ops=("cross_entropy",), dtypes=DTYPES if WHOLE else ("float32", "float16")))
    some = relation_checks(deck, smoke=True)
    found = list(run([target], some, Clock()))
    assert not [o.message for o in found if o.verdict in FAILING]
    assert {"weight-scale", "reductions"} <= {o.case.name for o in found}


def test_targets_that_sum_to_1() -> None:
    """A function that refuses others gets no others, if it says so."""
    calls = [
        Call(Problem("cross_entropy", "float32", X[:1], np.array(q)), "ordinary")
        for q in ([[0.25, 0.75]], [[0.5, 0.0]], [[1.0, 1.0]])
    ]
    of = Loss(guard=only_whole)
    given: dict[str, Any] = {"op": "cross_entropy", "dtypes": ("float32",), "calls": calls}
    declared = check_implementation(of.value, normalised_targets=True, **given)
    assert [o.verdict for o in declared.observations] == ["pass", "unsupported", "unsupported"]
    silent = check_implementation(of.value, **given)
    assert [o.verdict for o in silent.observations] == ["pass", "fail", "fail"]
