"""The Python front door: options, declarations and bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lossproof import check_implementation
from lossproof.adapters.protocol import Problem
from lossproof.core.call import Call
from lossproof.core.errors import UsageError

Array = np.ndarray[Any, Any]


def softmax(x: Array, *, axis: int) -> Array:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def naive(x: Array, *, axis: int) -> Array:
    with np.errstate(all="ignore"):
        e = np.exp(x)
        return e / e.sum(axis=axis, keepdims=True)


def test_a_right_function_passes_and_a_wrong_one_says_where() -> None:
    with np.errstate(all="ignore"):
        good = check_implementation(softmax, op="softmax", dtypes=["float32"], deck="smoke")
    good.raise_on_failure()
    assert any(o.verdict == "pass" for o in good.observations)
    bad = check_implementation(naive, op="softmax", dtypes=["float32"], deck="smoke")
    assert not bad.ok
    with pytest.raises(AssertionError, match=r"outputs fail\nsoftmax\(float32"):
        bad.raise_on_failure()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"op": "softmin"}, "unknown op 'softmin'"),
        ({"op": "softmax", "dtypes": ["float8"]}, "unknown dtype 'float8'"),
        ({"op": "softmax", "options": ["weight"]}, "has no option weight"),
        ({"op": "softmax", "deck": "huge"}, "unknown deck 'huge'"),
        ({"op": "softmax", "derivatives": {"hessian": softmax}}, "unknown derivative hessian"),
        ({"op": "softmax", "mean": "median"}, "unknown mean 'median'"),
    ],
)
def test_bad_arguments_are_usage_errors(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_implementation(softmax, **arguments)


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (Problem("softmax", "float32", np.zeros((2, 0))), "K = 0 classes"),
        (Problem("cross_entropy", "float32", np.zeros((2, 4)), np.array([0, 9])), "label 9 is out of range"),
        (Problem("cross_entropy", "float32", np.zeros((2, 4)), np.array([0, 1, 2])), r"target has shape \(3,\)"),
        (Problem("softmax", "float16", np.array([[0.1, 0.2]])), "cannot represent"),
    ],
)
def test_the_callers_own_calls_are_validated(problem: Problem, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_implementation(softmax, op=problem.op, calls=[Call(problem, "mine")])


def test_an_exception_of_the_function_is_a_failure_not_a_traceback() -> None:
    def broken(x: Array, *, axis: int) -> Array:
        raise ValueError("no")

    report = check_implementation(broken, op="softmax", dtypes=["float32"], deck="smoke")
    assert {o.verdict for o in report.observations if o.output == "value"} == {"fail"}
    assert "raised internal: ValueError: no" in report.failures[0].message
