"""Kernels with one defect each fail, by the output that the defect spoils; the one without passes."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from lossproof import Report, check_implementation
from lossproof.adapters.protocol import Problem
from lossproof.cases.catalogue import select
from lossproof.core.call import Call
from tests.examples.wrong_kernels import DEFECTS, Kernel, forgets_the_maximum
from tests.support.thinned import WHOLE

pytestmark = pytest.mark.usefixtures("few_smaller_inputs")
# The smoke deck has no ignored rows without weights or a third axis.
IGNORED = Call(
    Problem(
        "cross_entropy",
        "float32",
        np.array([[0.5, -1.0, 2.0, 0.25], [1.5, 0.0, -0.75, 1.0], [0.0, 1.0, 0.5, 0.25]]),
        target=np.array([1, -100, 3]),
        ignore_index=-100,
        reduction="mean",
        cotangent=np.array(1.0),
    ),
    "mine",
)


def judged(kernel: Kernel, calls: list[Call] | None = None) -> Report:
    with np.errstate(all="ignore"):
        return check_implementation(
            kernel.loss,
            op="cross_entropy",
            grad=kernel.gradient,
            targets=["index"],
            ranks=[2],
            dtypes=["float32"],
            deck="smoke",
            errors=False,
            calls=calls,
        )


def test_the_right_one_passes() -> None:
    report = judged(Kernel())
    report.raise_on_failure()
    assert {o.output for o in report.observations if o.verdict == "pass"} >= {"value", "vjp"}
    alone = judged(Kernel(), [IGNORED])
    alone.raise_on_failure()
    assert [o.verdict for o in alone.observations] == ["pass", "pass"]


@functools.cache
def reported(defect: str) -> Report:
    """What is said of a kernel with a defect, on the calls that show it."""
    if defect == "ignored_counted":
        return judged(Kernel(defect), [IGNORED])
    return judged(Kernel(defect), None if WHOLE else some_calls())


@functools.cache
def some_calls() -> list[Call]:
    """Some of the calls of two axes that the deck has."""
    deck = select("smoke", ops=["cross_entropy"], dtypes=["float32"])
    rows = [c for c in deck if not c.is_check and c.problem.x.ndim == 2 and not c.problem.has_probability_target]
    return rows[::3]


# What the explanation of the first failure says of each.
WORDS = {
    "no_max": "the maximum of the row is not subtracted before exp",
    "sum_gradient": "lacks the mean's denominator",
    "ignored_counted": "the mean divides by all rows, the ignored ones counted",
    "last_label_off": "the label of the last class is off by one",
    "smoothing_of_others": "label smoothing divides eps by K - 1, not by K",
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_the_mechanism_of_a_defect_is_named(defect: str) -> None:
    report = reported(defect)
    assert WORDS[defect] in report.diagnosis.partition("\n")[0]


@pytest.mark.parametrize(("defect", "output"), DEFECTS.items())
def test_a_defect_fails_where_it_shows(defect: str, output: str) -> None:
    failures = reported(defect).failures
    assert output in {o.output for o in failures}
    # The defect is one of numbers: nothing is refused or raises.
    assert all(o.got is not None for o in failures), [o.message for o in failures]


def test_overflow_without_the_maximum_is_named_by_its_families() -> None:
    assert {o.case.family for o in reported("no_max").failures} >= {"offset"}


def test_a_gradient_without_the_denominator_fails_in_means_alone() -> None:
    failures = reported("sum_gradient").failures
    assert failures
    assert all(o.output == "vjp" and "-mean" in o.id for o in failures if o.case.family != "relation")


def test_a_rank_that_keeps_its_own_maximum_fails() -> None:
    pytest.importorskip("torch")
    from examples import torch_vocab_parallel

    asked: dict[str, Any] = dict(torch_vocab_parallel.ASKED)
    ranks_of: Any = torch_vocab_parallel.Ranks
    with ranks_of(forgets_the_maximum) as ranks:
        report = check_implementation(ranks, op="cross_entropy", framework="torch", **asked)
    assert {o.output for o in report.failures} >= {"value", "vjp"}
