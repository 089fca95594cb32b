"""What a failure looks like that a declaration would answer is said, in the words of Python and of the command line."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lossproof import Report, UsageError, check_implementation
from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import Capabilities
from lossproof.cases.catalogue import select
from lossproof.functions.function_session import live_session
from lossproof.functions.hints import hints
from lossproof.functions.implementation_parts import PartOptions, in_parts
from lossproof.running.report import report
from lossproof.running.session_options import DeckOptions
from lossproof.targets.target import Target
from tests.support.thinned import WHOLE

Array = np.ndarray[Any, Any]
pytestmark = pytest.mark.usefixtures("few_smaller_inputs")


def rows_of(x: Array, y: Array) -> Array:
    with np.errstate(all="ignore"):
        shifted = x - x.max(axis=1, keepdims=True)
        return np.log(np.exp(shifted).sum(axis=1)) - np.take_along_axis(shifted, y[:, None], 1)[:, 0]


def indexing(x: Array, y: Array) -> Array:
    """NumPy's own indices count from the end where they are below 0."""
    if np.any(y >= x.shape[1]) or np.any(y < -x.shape[1]):
        raise IndexError("no such label")
    return rows_of(x, np.where(y < 0, y + x.shape[1], y))


def forgiving(x: Array, y: Array) -> Array:
    known = (y >= 0) & (y < x.shape[1])
    return np.where(known, rows_of(x, np.where(known, y, 0)), 0).astype(x.dtype)


def at_minus_hundred(x: Array, y: Array) -> Array:
    if np.any((y != -100) & ((y < 0) | (y >= x.shape[1]))):
        raise IndexError("no such label")
    return forgiving(x, y)


def checked(function: Callable[..., Any], op: str = "cross_entropy", **given: Any) -> Report:
    asked: dict[str, Any] = {"dtypes": ("float32",), "deck": "smoke", "ranks": (2,), "targets": ("index",)} | given
    return check_implementation(function, op=op, cache=False, **asked)


WRAPS = (
    "wraps_negative_labels=True says that labels below 0 count from the end, as indices do (--wraps-negative-labels)"
)
ZEROES = "zeroes_unknown_labels=True says that a label out of range contributes nothing (--zeroes-unknown-labels)"
IGNORES = "ignore_index=-100 says that this label is ignored always (--ignore-index -100)"


@pytest.mark.parametrize(
    ("function", "words", "declared"),
    [
        (indexing, WRAPS, {"wraps_negative_labels": True}),
        (forgiving, ZEROES, {"zeroes_unknown_labels": True}),
        (at_minus_hundred, IGNORES, {"ignore_index": -100}),
    ],
    ids=["wraps", "zeroes", "ignores"],
)
def test_what_is_done_with_labels_is_hinted_at(
    function: Callable[..., Any], words: str, declared: dict[str, Any]
) -> None:
    found = checked(function)
    assert not found.ok
    assert words in found.hint.splitlines()
    others = {WRAPS, ZEROES, IGNORES} - {words}
    assert not others & set(found.hint.splitlines()) or function is forgiving
    checked(function, **declared).raise_on_failure()


def test_the_message_says_which_declaration_it_is() -> None:
    messages = [o.message for o in checked(indexing).failures]
    assert any("as wraps_negative_labels declares; accepted values: nan" in m for m in messages), messages


def without_strides(x: Array, axis: int = -1) -> Array:
    """Softmax of the memory of an array, as a kernel reads it that is given no strides."""
    if x.base is not None and not x.flags.c_contiguous and x.size:
        x = np.ascontiguousarray(x)[..., ::-1]
    with np.errstate(all="ignore"):
        e = np.exp(x - x.max(axis=axis, keepdims=True))
        return np.asarray(e / e.sum(axis=axis, keepdims=True))


def no_full_smoothing(x: Array, y: Array, label_smoothing: float = 0.0) -> Array:
    with np.errstate(all="ignore"):
        eps, k = np.float32(label_smoothing), np.float32(x.shape[1])
        own = rows_of(x, y) * (1 - eps) / (eps != 1)
        each = np.stack([rows_of(x, np.full_like(y, j)) for j in range(x.shape[1])])
        return np.asarray(own + ((eps / k * each).sum(axis=0) if label_smoothing else 0), x.dtype)


def of_sum_one(x: Array, q: Array) -> Array:
    """The log-sum-exp less the mean logit: a cross-entropy where the probabilities sum to 1."""
    with np.errstate(all="ignore"):
        shifted = x - x.max(axis=1, keepdims=True)
        terms = np.where(q != 0, q * shifted, 0)
        return np.asarray(np.log(np.exp(shifted).sum(axis=1)) - terms.sum(axis=1), x.dtype)


def test_what_all_failing_calls_have_in_common_is_hinted_at() -> None:
    given: dict[str, Any] = {"deck": "default", "errors": False, "max_classes": 99 if WHOLE else 24}
    strides = checked(without_strides, "softmax", targets=None, ranks=None, **given)
    assert not strides.ok
    (line,) = strides.hint.splitlines()
    assert line.startswith("all of these calls have arrays that do not lie together in memory (")
    assert "layouts=('contiguous',) says that callers give it no others (--layout contiguous)" in line
    smoothed = checked(no_full_smoothing, **given)
    assert "full_smoothing=False says that it is not taken (--no-full-smoothing)" in smoothed.hint
    sums = checked(of_sum_one, targets=("probability",), **given)
    assert "normalised_targets=True says that those of its callers do (--normalised-targets)" in sums.hint


def test_failures_that_have_nothing_in_common_have_no_hint() -> None:
    def wrong(x: Array, axis: int = -1) -> Array:
        return without_strides(x, axis) * x.dtype.type(1.01)

    found = checked(wrong, "softmax", targets=None, ranks=None, errors=False)
    assert not found.ok
    assert found.hint == ""
    assert hints([]) == []


class _Compiling(NumpyAdapter):
    """NumPy, as if each new signature cost something."""

    def capabilities(self) -> Capabilities:
        return replace(super().capabilities(), compile_cost="dear")


def test_what_is_withheld_from_a_function_is_said() -> None:
    deck = DeckOptions(size="smoke", ops=("softmax",), dtypes=("float32",))
    calls = select("smoke", 0, ("softmax",), ("float32",), families=("ordinary",))
    with closing(live_session(Target(_Compiling()), calls, deck, cache=False)) as session:
        found = report(session)
    assert found.withheld.startswith("withheld: ")
    assert found.withheld.endswith("(a new shape costs it a compilation); the deck full asks them")
    assert found.withheld in str(found)


def test_what_is_of_all_tests_is_not_said_of_one_function() -> None:
    with pytest.raises(UsageError) as caught:
        in_parts([(indexing, {"op": "cross_entropy", "errors": False})], PartOptions(), {})
    assert str(caught.value) == (
        "errors is of the tests of all functions, and not of indexing alone: "
        "parametrize_with_checks([...], errors=False)"
    )


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"defaults": ("axes",)}, "unknown option in defaults 'axes'; did you mean axis?"),
        ({"conventions": {"4": "nan"}}, "conventions has the key '4'; expected a clause and an output, ('4', 'value')"),
    ],
)
def test_a_declaration_that_means_nothing_is_refused(declared: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        checked(indexing, **declared)
    assert words in str(caught.value)
