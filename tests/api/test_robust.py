"""Functions that misbehave: what they do is the answer of the output that it concerns, and never ends a check."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from lossproof import Report, UsageError, check_implementation
from lossproof.adapters.protocol import UnsupportedProblem
from lossproof.core.observation import FAILING
from tests.support.thinned import WHOLE


def softmax(x: Any, *, axis: int) -> Any:
    with np.errstate(all="ignore"):
        e = np.exp(x - x.max(axis=axis, keepdims=True))
        return e / e.sum(axis=axis, keepdims=True)


def gradient(x: Any, cotangent: Any, *, axis: int) -> Any:
    with np.errstate(all="ignore"):
        p = softmax(x, axis=axis)
        return p * (cotangent - (p * cotangent).sum(axis=axis, keepdims=True))


def checked(value: Callable[..., Any] = softmax, grad: Callable[..., Any] | None = gradient, **options: Any) -> Report:
    given = {"dtypes": ("float32",), "deck": "smoke", "error_profiles": {"float32": "W"}} | options
    return check_implementation(value, op="softmax", grad=grad, **given)


def failing(report: Report) -> set[str]:
    return {o.output for o in report.observations if o.verdict in FAILING}


@pytest.fixture
def _strict_numpy() -> Iterator[None]:
    before = np.seterr(all="raise")
    yield
    np.seterr(**before)


def facts(report: Report) -> list[tuple[object, ...]]:
    return [(o.id, o.output, o.verdict, o.share, o.bits) for o in report.observations]


def test_right_is_right() -> None:
    assert failing(checked()) == set()


@pytest.mark.usefixtures("_strict_numpy")
def test_the_caller_may_want_numpy_to_raise() -> None:
    assert np.geterr()["over"] == "raise"
    deck = "default" if WHOLE else "smoke"
    strict = checked(errors=True, deck=deck)
    assert np.geterr()["over"] == "raise", "the caller's settings are the caller's"
    np.seterr(all="warn")
    assert facts(strict) == facts(checked(errors=True, deck=deck))


def test_the_function_may_want_numpy_to_raise() -> None:
    def strict(x: Any, *, axis: int) -> Any:
        np.seterr(all="raise")
        return softmax(x, axis=axis)

    before = np.geterr()
    assert facts(checked(strict)) == facts(checked())
    assert np.geterr() == before


def test_a_gradient_that_raises_is_no_fault_of_the_value() -> None:
    def broken(x: Any, cotangent: Any, *, axis: int) -> Any:
        raise ValueError("no gradient today")

    report = checked(grad=broken)
    assert failing(report) == {"vjp", "vjp_again"}
    assert all("no gradient today" in o.message for o in report.observations if o.verdict in FAILING)


def test_a_gradient_that_writes_into_its_input_is_no_fault_of_the_value() -> None:
    def writing(x: Any, cotangent: Any, *, axis: int) -> Any:
        found = gradient(x, cotangent, axis=axis)
        x[...] = 0
        return found

    report = checked(grad=writing)
    assert {o.output for o in report.observations if o.verdict in FAILING and o.case.kind == "call"} == {"vjp"}


def test_a_value_that_raises_is_no_fault_of_the_gradient_nor_of_one_that_is_not_there() -> None:
    def broken(x: Any, *, axis: int) -> Any:
        raise ValueError("no value today")

    with_gradient, without = checked(broken), checked(broken, None)
    for report in (with_gradient, without):
        assert {o.output for o in report.observations if o.verdict in FAILING and o.case.kind == "call"} == {"value"}
    assert any(o.output == "vjp" and o.verdict == "pass" for o in with_gradient.observations)


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), RuntimeError("x")])
def test_whatever_is_raised_is_an_answer(error: BaseException) -> None:
    def leaves(x: Any, *, axis: int) -> Any:
        raise error

    report = checked(leaves, None)
    assert failing(report) == {"value"}
    assert type(error).__name__ in next(o.message for o in report.observations if o.verdict in FAILING)


def test_an_interrupt_is_the_user_s() -> None:
    def interrupted(x: Any, *, axis: int) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checked(interrupted, None)


@pytest.mark.parametrize(
    ("wrap", "name"),
    [
        (np.ma.masked_array, "MaskedArray"),
        (lambda a: a.tolist(), "list"),
        (lambda a: 0.5, "float"),
        (lambda a: None, "NoneType"),
    ],
)
def test_what_is_no_array_has_no_dtype(wrap: Callable[[Any], Any], name: str) -> None:
    report = checked(lambda x, *, axis: wrap(softmax(x, axis=axis)), None)
    messages = [o.message for o in report.observations if o.verdict in FAILING and o.case.kind == "call"]
    assert messages
    expected = f"value is not an array of dtype float32, but a {name}"
    shapes = "value has shape ()"
    assert all(expected in m or shapes in m or "returns None" in m for m in messages), messages[0]


def test_nothing_judged_is_not_ok() -> None:
    report = checked(calls=[])
    assert not report.ok
    assert report.reasons == ("nothing was judged of softmax",)
    with pytest.raises(AssertionError, match="nothing was judged"):
        report.raise_on_failure()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtypes": ()}, "dtypes is empty; expected some of"),
        ({"dtypes": ("float8",)}, "unknown dtype 'float8'"),
        ({"targets": ()}, "targets is empty; expected some of index, probability"),
        ({"targets": ("indices",)}, "unknown kind of target 'indices'; did you mean index?"),
        ({"error_profiles": {"float23": "W"}}, "unknown dtype of an error profile 'float23'"),
        ({"error_profiles": {"float32": "X"}}, "unknown error profile 'X'; expected one of W, F, S, N"),
        ({"deck": "tiny"}, "tiny"),
    ],
)
def test_names_that_are_unknown_are_a_user_s_mistake(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        checked(**options)


def test_what_answers_unsupported_to_everything_is_not_ok() -> None:
    def picky(x: Any, *, axis: int) -> Any:
        raise UnsupportedProblem("not today")

    report = checked(picky, None)
    assert report.counts.keys() == {"unsupported"}
    assert not report.ok
