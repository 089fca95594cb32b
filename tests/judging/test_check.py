"""Checks are calls of which the loop asks what it asks of any; truths are kept by problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lossproof.adapters.protocol import Problem
from lossproof.cases.catalogue import select
from lossproof.core.call import Call
from lossproof.judging import check
from lossproof.judging.check import Check, Exact
from lossproof.truth.truth import Truth, truth

PROBLEM = Problem("cross_entropy", "float32", np.array([[0.0, 1.0], [2.0, -1.0]]), np.array([0, 1]))


def test_a_call_plays_itself_and_a_check_its_companions() -> None:
    call = Call(PROBLEM, "ordinary")
    assert (call.calls, call.outputs, call.is_check, call.isolate, call.watched) == (
        (call,),
        ("value",),
        False,
        False,
        False,
    )
    pair = Check(PROBLEM, "relation", name="pair", others=(call,), isolate=True, watched=True)
    assert [c.problem for c in pair.calls] == [PROBLEM, PROBLEM]
    assert (pair.outputs, pair.is_check, pair.isolate, pair.watched) == (("value",), True, True, True)


def test_the_catalogue_says_of_each_call_whether_it_has_a_judge_of_its_own() -> None:
    for call in select("smoke", ops=["softmax"]):
        assert call.is_check == isinstance(call, Check)


def test_a_problem_is_equal_to_itself_alone() -> None:
    assert PROBLEM == PROBLEM
    assert replace(PROBLEM) != PROBLEM
    assert len({PROBLEM, PROBLEM, replace(PROBLEM)}) == 2


def test_truths_are_computed_once_for_a_problem_and_a_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[str] = []

    def counted(problems: Sequence[Problem], **how: Any) -> Truth:
        computed.append(problems[0].reduction)
        return truth(problems, **how)

    monkeypatch.setattr(check, "truth", counted)
    exact = Exact()
    assert exact(PROBLEM) is exact(PROBLEM)
    assert exact(PROBLEM, "mean_over_rows") is exact(PROBLEM, "mean_over_rows")
    assert computed == ["mean", "mean_over_rows"]
    # An equal problem is another one: it may be changed by the call that it is put in.
    assert exact(replace(PROBLEM)) is not exact(PROBLEM)
