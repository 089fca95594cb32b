"""The explanation of a wrong function names what it computes instead: wrong sums and maxima over classes."""

from __future__ import annotations

import sys
import types
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lossproof import UsageError, check_implementation
from lossproof.adapters.protocol import Problem
from lossproof.cases.catalogue import select
from lossproof.core.call import Call
from lossproof.functions.callee import callee
from lossproof.functions.declaration import Declaration
from lossproof.functions.mechanisms import mechanism
from lossproof.functions.other_profiles import within_others
from lossproof.functions.prepare import kept_calls
from tests.support.thinned import nightly

Array = np.ndarray[Any, Any]
pytestmark = pytest.mark.usefixtures("few_smaller_inputs")


def softmax(x: Array, axis: int = -1) -> Array:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def gradient(x: Array, g: Array, axis: int = -1) -> Array:
    p = softmax(x, axis)
    return p * (g - (p * g).sum(axis=axis, keepdims=True))


def along_the_last(x: Array, axis: int = -1) -> Array:
    return softmax(x, -1)


def maximum_of_all(x: Array, axis: int = -1) -> Array:
    e = np.exp(x - x.max()) if x.size else x
    return e / e.sum(axis=axis, keepdims=True)


def in_float32(x: Array, axis: int = -1) -> Array:
    return softmax(x.astype(np.float32), axis).astype(x.dtype)


def carried(x: Array) -> tuple[Array, Array]:
    """The running maximum of the last axis, and the sum, which is not rescaled when that grows."""
    top, total = np.full_like(x[..., 0], -np.inf), np.zeros_like(x[..., 0])
    for i in range(0, x.shape[-1], 2):
        chunk = x[..., i : i + 2]
        top = np.maximum(top, chunk.max(axis=-1))
        total = total + np.exp(chunk - np.where(np.isinf(top), 0, top)[..., None]).sum(axis=-1)
    return top, total


def carried_softmax(x: Array) -> Array:
    top, total = carried(x)
    return np.exp(x - top[..., None]) / total[..., None]


def carried_loss(x: Array, labels: Array, reduction: str = "mean") -> Array:
    top, total = carried(x)
    rows = np.log(total) - (np.take_along_axis(x, labels[..., None], -1)[..., 0] - top)
    return rows if reduction == "none" else rows.sum() if reduction == "sum" else rows.mean()


def no_sum(x: Array, g: Array, axis: int = -1) -> Array:
    return softmax(x, axis) * g


def sum_of_the_last(x: Array, g: Array, axis: int = -1) -> Array:
    p = softmax(x, axis)
    return p * (g - (p * g).sum(axis=-1, keepdims=True))


CARRIED = "the running sum is not rescaled when the maximum grows: chunks of 2 classes"


@pytest.mark.parametrize(
    ("function", "declared", "words"),
    [
        (along_the_last, {}, "value of softmax in float32: it is taken along axis 2, not 1"),
        (maximum_of_all, {}, "what is subtracted is no maximum of its own but one of all rows"),
        (in_float32, {"dtypes": ("float64",)}, "it has the digits of float32, not of float64"),
        (carried_softmax, {"ranks": (2,)}, CARRIED),
        # The sum of a loss is that of softmax.
        pytest.param(
            carried_loss, {"op": "cross_entropy", "ranks": (2,), "targets": ("index",)}, CARRIED, marks=nightly
        ),
        (softmax, {"grad": no_sum}, "the gradient lacks its sum over classes"),
        (softmax, {"grad": sum_of_the_last}, "the sum in the gradient is taken along axis 2, not 1"),
    ],
    ids=["axis", "maximum", "float32", "softmax", "loss", "no sum", "another sum"],
)
def test_a_wrong_sum_is_named(function: Any, declared: dict[str, Any], words: str) -> None:
    asked = {"op": "softmax", "dtypes": ("float32",), "deck": "smoke", "errors": False, **declared}
    with np.errstate(all="ignore"):
        report = check_implementation(function, **asked)
    assert words in report.diagnosis.partition("\n")[0], report.diagnosis


def test_a_right_one_has_nothing_to_explain() -> None:
    with np.errstate(all="ignore"):
        report = check_implementation(softmax, op="softmax", grad=gradient, dtypes=("float32",), deck="smoke")
    assert not report.diagnosis
    assert not any("not asked: gradient" in line for line in report.asked)


def test_what_nobody_thinks_of_is_said() -> None:
    with np.errstate(all="ignore"):
        alone = check_implementation(softmax, op="softmax", dtypes=("float32",), deck="smoke", errors=False)
        loss = check_implementation(carried_loss, op="cross_entropy", dtypes=("float32",), deck="smoke", errors=False)
    assert "not asked: gradient (NumPy has none; grad= is the function that computes it, --grad)" in alone.asked
    assert "if it always ignores a label: ignore_index=-100 says which (--ignore-index -100)" in loss.asked
    # A function of one op has a name of its own.
    assert any("carried_loss takes no probability targets" in line for line in loss.unsupported), loss.unsupported


def test_a_keras_loss_of_probabilities_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loss:
        def __init__(self, config: dict[str, Any]) -> None:
            self.config = config

        def __call__(self, y_true: Array, y_pred: Array) -> Array:
            return y_pred

        def get_config(self) -> dict[str, Any]:
            return self.config

    keras: Any = types.SimpleNamespace(losses=types.SimpleNamespace(Loss=Loss))
    monkeypatch.setitem(sys.modules, "keras", keras)
    with pytest.raises(UsageError, match=r"Loss takes probabilities \(its from_logits is False\); expected"):
        callee(Loss({"from_logits": False}), "Loss")
    assert callee(Loss({"from_logits": True}), "Loss").name == "Loss"
    assert callee(Loss({}), "Loss").name == "Loss"


def test_a_maximum_of_all_rows_is_told_from_no_maximum_by_the_rows_that_break() -> None:
    x = np.array([[14499.0, 14498.0], [-2000.0, -2001.0]])
    p = Problem("softmax", "float64", x)
    with np.errstate(all="ignore"):
        of_all, none = maximum_of_all(x), np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)
    assert "no maximum of its own but one of all rows" in mechanism(p, "value", of_all)
    assert "exp of a logit of 14499 overflows in float64" in mechanism(p, "value", none)


def test_results_of_a_declared_dtype_are_asked_in_no_other() -> None:
    declared = Declaration(op="cross_entropy", result_dtype="float32")
    calls = select("default", 0, ("cross_entropy",), ("float32", "bfloat16"), families=("equal",))
    assert any(c.outline.out_dtype == "float64" for call in calls for c in call.calls)
    kept, _ = kept_calls(calls, declared)
    assert {c.outline.out_dtype for call in kept for c in call.calls} == {None, "float32"}


def test_masked_logits_with_a_factor_are_not_finite() -> None:
    declared = Declaration(op="cross_entropy", finite=True)
    x = np.array([[float.fromhex("-0x1.cp+127"), 0.0]])
    p = Problem("cross_entropy", "float32", x, target=np.array([1]), scale=3.0)
    kept, left = kept_calls([Call(p, "masked")], declared)
    assert (kept, left) == ([], ["1 calls with logits that are not finite (finite)"])
    kept, _ = kept_calls([Call(replace(p, scale=1.0), "masked")], declared)
    assert len(kept) == 1


@pytest.mark.parametrize(("dtype", "exponent"), [("float64", 1023), ("float32", 127), ("float16", 15)])
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_a_smoothed_sum_that_overflows_is_named(dtype: str, exponent: int, reduction: str) -> None:
    x = np.array([[0.0, 2.0**exponent, 0.0]])
    p = Problem("cross_entropy", dtype, x, target=np.array([0]), label_smoothing=0.125, reduction=reduction)
    words = "with label smoothing the sum of -log p over all classes overflows in"
    answer = np.full(p.shape_of("value"), np.inf)
    assert f"{words} {dtype} before it is multiplied by eps / K" in mechanism(p, "value", answer)
    assert words not in mechanism(replace(p, label_smoothing=0.0), "value", answer)


F = (
    "an exponential that is computed as a power of two: error_profiles={'float32': 'F'} (--profile float32=F) "
    "declares that"
)
S = (
    "functions as good as the shading languages of GPUs promise: error_profiles={'float32': 'S'} (--profile float32=S) "
    "declares that"
)
ONLINE = "partial sums that are rescaled as the running maximum grows: online=True (--online) declares that"


@pytest.mark.parametrize(
    ("logits", "off", "profile", "words"),
    [
        ([0, -40, -60, -1], 1e-5, "W", F),
        ([0, -40, -60, -1], 3e-5, "W", S),
        ([0, -40, -60, -1], 3e-5, "F", S),
        ([0, -40, -60, -1], 1e-4, "S", ""),
        ([0, -40, -60, -1], 1e-4, "W", ""),
        ([-40, -30, 0, -20], 1.5e-6, "W", ONLINE),
    ],
)
def test_a_declaration_under_which_an_answer_is_right_is_named(
    logits: list[float], off: float, profile: str, words: str
) -> None:
    x = np.array([logits], float)
    right = softmax(x)
    answer = np.where(np.arange(4) == 2, right * (1 + off), right)
    found = within_others(Problem("softmax", "float32", x), "value", answer, profile, online=False)
    assert found[:1] == ([f"it is within what is allowed for {words}"] if words else [])


def test_it_is_what_an_explanation_says_where_no_mechanism_is_known() -> None:
    def imprecise(x: Array) -> Array:
        shifted = x - x.max(axis=-1, keepdims=True)
        e = np.exp(shifted * x.dtype.type(1 + 2.0**-23))
        return np.asarray(e / e.sum(axis=-1, keepdims=True))

    given: dict[str, Any] = {"op": "softmax", "dtypes": ("float32",), "deck": "smoke", "errors": False, "ranks": (2,)}
    with np.errstate(all="ignore"):
        report = check_implementation(imprecise, **given)
        first = report.diagnosis.partition("\n")[0]
        # Of the deck the strictest that allows all of it.
        assert ONLINE in first or F in first, report
        declared: dict[str, Any] = {"online": True} if ONLINE in first else {"error_profiles": {"float32": "F"}}
        check_implementation(imprecise, **given, **declared).raise_on_failure()


@pytest.mark.parametrize("op", ["cross_entropy", "nll_loss"])
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_ignored_rows_that_are_multiplied_by_0_are_named(op: str, reduction: str) -> None:
    words = "the value of an ignored row, which is no finite number with a label in its place, is multiplied by 0"
    x = np.array([[-np.inf, 0.5, 0.25], [0.0, 0.5, 0.25]])
    p = Problem(op, "float64", x, target=np.array([7, 1]), ignore_index=7, reduction=reduction)
    right = -float(x[1, 1] if op == "nll_loss" else x[1, 1] - np.log(np.exp(x[1]).sum()))
    answer = np.array([np.nan, right]) if reduction == "none" else np.array(np.nan)
    assert words in mechanism(p, "value", answer)
    # With a number there, or where another row is NaN, it is something else.
    assert words not in mechanism(replace(p, x=np.abs(np.where(np.isinf(x), 0.0, x))), "value", answer)
    if reduction == "none":
        assert words not in mechanism(p, "value", np.array([0.0, np.nan]))


def test_a_nan_beside_right_numbers_is_no_lost_digit() -> None:
    x = np.array([[90.0, 90.5], [90.0, 90.25]])
    p = Problem("cross_entropy", "float64", x, target=np.array([0, 1]), reduction="none")
    value = np.log(np.exp(x - 90).sum(axis=1)) + 90 - x[[0, 1], [0, 1]]
    assert "has lost these digits" in mechanism(p, "value", value + np.array([2e-14, 0]))
    assert "has lost these digits" not in mechanism(p, "value", np.array([value[0] + 2e-14, np.nan]))
