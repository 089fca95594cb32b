"""The Python front door: options, declarations and bad input."""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np
import pytest

from lossproof import Report, check_implementation
from lossproof.adapters.protocol import Problem
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from tests.support.thinned import at_least

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
    with pytest.raises(
        AssertionError, match=r"outputs fail, in \d+ ways\nvalue of softmax in float32: .*not subtracted before exp"
    ):
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

    report = check_implementation(broken, op="softmax", dtypes=["float32"], deck="smoke", errors=False)
    assert {o.verdict for o in report.observations if o.output == "value"} == {"fail"}
    assert "raised internal: ValueError: no" in report.failures[0].message


def nll_loss(x: Array, *, target: Array, weight: Any, ignore_index: int | None, reduction: str, axis: int) -> Array:
    """The loss without a check of labels: where there is no such class it takes the nearest one."""
    x = np.moveaxis(x, axis, -1)
    w = np.ones(x.shape[-1], x.dtype) if weight is None else weight
    kept = np.full(target.shape, True) if ignore_index is None else target != ignore_index
    label = np.clip(np.where(kept, target, 0), 0, x.shape[-1] - 1)
    with np.errstate(all="ignore"):
        rows = np.where(kept, -w[label] * np.take_along_axis(x, label[..., None], -1)[..., 0], 0).astype(x.dtype)
        if reduction == "none":
            return rows
        total = rows.sum(dtype=x.dtype)
        return np.asarray(total if reduction == "sum" else total / np.where(kept, w[label], 0).sum(dtype=x.dtype))


def of_labels(**given: Any) -> Report:
    return check_implementation(nll_loss, op="nll_loss", dtypes=["float32"], deck="smoke", **given)


def test_answers_to_invalid_input_are_judged_unless_it_is_told_not_to() -> None:
    report = of_labels()
    assert not report.ok
    assert {o.case.family for o in report.failures} == {"error"}
    text = str(report)
    assert re.search(r"label -?\d+ of 4 classes: silently gives value \[\S+, \S+\]; accepted values: nan", text)
    assert "more like it" in text
    said = "of them answer invalid or empty input (ids with /error/); errors=False leaves it out (--no-errors)"
    assert text.endswith(f"\n{len(report.failures)} {said}")
    with pytest.raises(AssertionError, match="errors=False leaves it out"):
        report.raise_on_failure()
    without = of_labels(errors=False)
    without.raise_on_failure()
    assert "errors=False" not in str(without)
    assert any("calls of invalid and of empty input (errors=True judges them)" in text for text in without.left_out)


def test_a_report_counts_what_was_judged_and_what_was_not() -> None:
    report = of_labels(errors=False)
    counted = sum(n for shown, n in report.counts.items() if shown != "unsupported")
    assert 0 < report.judged <= counted
    assert sum(report.unsupported.values()) == report.counts["unsupported"]
    assert "no vjp on offer" in report.unsupported
    assert "not on offer: " in str(report)
    assert "left out: float64, bfloat16, float16 (not among dtypes)" in str(report)
    assert any(text.startswith("calls of any shape") for text in report.left_out)
    assert repr(report).startswith(f"<Report of {len(report.observations)} outputs: ")
    assert len(repr(report)) < 1000, "a summary, not every observation"


def rank_four_is_off(x: Array, *, axis: int) -> Array:
    with np.errstate(all="ignore"):
        return softmax(x, axis=axis) * x.dtype.type(1.01 if x.ndim == 4 else 1.0)


def test_exploration_finds_shrinks_and_can_be_replayed() -> None:
    given: dict[str, Any] = {"op": "softmax", "dtypes": ["float32"], "errors": False}
    blind = check_implementation(rank_four_is_off, deck="smoke", **given)
    # sanity check: the deck does not show it
    assert blind.ok
    assert blind.explored == 0
    report = check_implementation(rank_four_is_off, deck="smoke", explore=at_least(300, to=3), **given)
    assert not report.ok
    assert 0 < report.explored <= at_least(330, to=3)
    found = report.failures[-1]
    assert found.classes == 1, "shrunk"
    assert found.id.split("/")[3] == "s1x1x1x1"
    assert f"exploration found {found.id}" in report.reasons
    assert f"explored {report.explored} calls" in str(report)
    assert found.call is not None
    again = check_implementation(rank_four_is_off, calls=[found.call], **given)
    assert [(o.id, o.verdict, o.got) for o in again.observations] == [(found.id, "fail", found.got)]
    assert check_implementation(softmax, calls=[found.call], **given).ok


def test_exploration_of_what_is_right_finds_nothing_and_says_how_much_it_drew() -> None:
    with np.errstate(all="ignore"):
        report = check_implementation(
            softmax, op="softmax", dtypes=["float32"], deck="smoke", explore=at_least(50, to=2), errors=False
        )
    report.raise_on_failure()
    assert report.explored >= at_least(50, to=2)
    assert not any(text.startswith("calls of any shape") for text in report.left_out)


def test_wrong_numbers_come_before_refusals() -> None:
    """And before answers to invalid input: of the failures that are shown the first says most."""

    def value(x: Array, *, axis: int) -> Array:
        if x.ndim == 3:
            raise TypeError("no")
        with np.errstate(all="ignore"):
            return softmax(x, axis=axis) * x.dtype.type(1.001 if (x.shape[-1] == 4) else 1)

    report = check_implementation(value, op="softmax", dtypes=["float32"], deck="smoke")
    kinds = ["raised" in line for line in str(report).splitlines() if line.startswith("softmax(")]
    assert kinds == [False] * 5
    # sanity check: there were some
    assert any("raised" in o.message for o in report.failures)


@pytest.mark.parametrize(
    ("given", "words"),
    [({"explore": -1}, "explore is -1"), ({"calls": [{"op": "softmax"}]}, "not a call")],
)
def test_other_bad_input(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_implementation(softmax, op="softmax", **given)


def test_exploration_without_hypothesis_is_refused_before_anything_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(
        UsageError, match=r"exploration needs the package hypothesis; pip install 'lossproof\[explore\]'"
    ):
        check_implementation(softmax, op="softmax", explore=1)


def test_a_gradient_has_the_functions_own_names_and_floats_as_labels_are_no_labels() -> None:
    def loss(logits: Array, labels: Array, reduction: str = "mean") -> Any:
        shifted = logits - logits.max(axis=1, keepdims=True)
        rows = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
        return rows if reduction == "none" else rows.sum() if reduction == "sum" else rows.mean()

    def gradient(logits: Array, upstream: Array, *, labels: Array, reduction: str) -> Array:
        p = softmax(logits, axis=1)
        p[np.arange(len(labels)), labels] -= 1
        return p * np.broadcast_to(upstream / (len(p) if reduction == "mean" else 1), len(p))[:, None].astype(p.dtype)

    with np.errstate(all="ignore"):
        report = check_implementation(
            loss, op="cross_entropy", grad=gradient, dtypes=["float32"], ranks=[2], deck="smoke", errors=False
        )
    report.raise_on_failure()
    assert any(o.output == "vjp" and o.verdict == "pass" for o in report.observations)
    assert "targets that are probabilities" in "\n".join(report.asked)
