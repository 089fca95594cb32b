"""Functions of which trial calls have to find out more than usual: other targets, more axes, what is built in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lossproof import Report, check_implementation
from tests.support.thinned import WHOLE

Array = np.ndarray[Any, Any]
pytestmark = pytest.mark.usefixtures("few_smaller_inputs")


def log_softmax(x: Array, axis: int = -1) -> Array:
    with np.errstate(all="ignore"):
        shifted = x - x.max(axis=axis, keepdims=True)
        return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True)))


def checked(function: Any, op: str = "cross_entropy", **given: Any) -> Report:
    asked: dict[str, Any] = {"dtypes": ("float32",), "deck": "smoke", "errors": False, "cache": False} | given
    return check_implementation(function, op=op, framework="numpy", **asked)


def rows(x: Array, labels: Array) -> Array:
    return -np.take_along_axis(log_softmax(x), labels[..., None], -1)[..., 0]


def of_one_hot(x: Array, onehot: Array) -> Array:
    if onehot.shape != x.shape:
        raise ValueError("one row of targets for each of logits")
    log_p = log_softmax(x)
    with np.errstate(all="ignore"):
        return np.asarray(-np.where(onehot != 0, onehot * log_p, 0).sum(-1), x.dtype)


def test_a_loss_of_probabilities_alone_is_found_out() -> None:
    report = checked(of_one_hot, ranks=(2,))
    report.raise_on_failure()
    asked = "\n".join(report.asked)
    assert "float32; probabilities; reduction none; 2 axes" in asked
    assert "not asked: targets that are class indices (ValueError: one row of targets for each of logits" in asked
    assert {o.output for o in report.observations if o.verdict == "pass"} == {"value"}


def test_a_loss_of_three_axes_alone_is_judged() -> None:
    def images(x: Array, labels: Array, reduction: str = "mean", ignore_index: int = -100) -> Array:
        if x.ndim < 3:
            raise ValueError("expected samples, classes, positions")
        kept = labels != ignore_index
        with np.errstate(all="ignore"):
            found = np.where(kept, rows(np.moveaxis(x, 1, -1), np.where(kept, labels, 0)), 0).astype(x.dtype)
            total = found.sum(dtype=x.dtype)
            return found if reduction == "none" else total / x.dtype.type(1 if reduction == "sum" else kept.sum())

    report = checked(images, ranks=(3,), targets=("index",), deck="default", max_classes=64)
    report.raise_on_failure()
    assert "3 axes" in report.asked[0]
    assert "its class axis is the second one: it takes no argument for it" in report.asked
    assert sum(o.verdict == "pass" and "-ax1-" in o.id for o in report.observations) > 10


def test_the_weight_of_a_layer_is_no_class_weight() -> None:
    def linear(hidden: Array, weight: Array, labels: Array) -> Array:
        return rows(hidden @ weight.T, labels)

    report = checked(linear, ranks=(2,), targets=("index",))
    assert not report.ok
    assert "where it is that of a layer, a function with the identity as weight can be judged" in report.asked[0]
    given: dict[str, Any] = {"ranks": (2,), "targets": ("index",), "finite": True}
    checked(lambda x, y: linear(x, np.eye(x.shape[1], dtype=x.dtype), y), **given).raise_on_failure()


def test_smoothing_that_is_built_in_is_named() -> None:
    def smoothed(x: Array, labels: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(0.9 * rows(x, labels) - 0.1 * log_softmax(x).mean(-1), x.dtype)

    report = checked(smoothed, ranks=(2,), targets=("index",))
    assert "label smoothing of 0.1 is built in; a function can be judged that takes it" in report.diagnosis


def test_empty_input_is_left_out_with_the_invalid_one() -> None:
    def refusing(x: Array, axis: int = -1) -> Array:
        if not x.size:
            raise ValueError("no rows")
        return np.asarray(np.exp(log_softmax(x, axis)))

    given: dict[str, Any] = {"deck": "default", "max_classes": 64 if WHOLE else 4}
    refused = [o for o in checked(refusing, "softmax", errors=True, **given).observations if "/n0-k4" in o.id]
    assert refused
    without = checked(refusing, "softmax", **given)
    assert not [o for o in without.observations if "/n0-k4" in o.id]
