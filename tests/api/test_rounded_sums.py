"""The explanation of a wrong function names sums that are rounded on the way, of answers that a plain program gives in
16 bits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lossproof import check_implementation
from lossproof.adapters.protocol import Problem
from lossproof.cases.catalogue import select
from lossproof.core.formats import FLOAT16
from lossproof.functions.mechanisms import mechanism

Array = np.ndarray[Any, Any]
pytestmark = pytest.mark.usefixtures("few_smaller_inputs")
ADDED_UP = "is added up in float16: each addition is rounded to it; expected a sum in float32"
BEYOND = "beyond the range of float16, which ends at 65504: rounded to it, it is infinite; it is to stay in float32"
THROUGH = "the gradient passes through the maximum, too"


def softmax(x: Array, axis: int = -1) -> Array:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def gradient(x: Array, cotangent: Array, axis: int = -1) -> Array:
    p = softmax(x, axis)
    return p * (cotangent - (p * cotangent).sum(axis=axis, keepdims=True))


def half(values: Any) -> Array:
    return np.asarray(values, np.float16)


def stagnating(k: int) -> Array:
    """One class far ahead; each of the others is lost when it is added to it."""
    return FLOAT16.round(np.array([[0.0] + [np.log(0.9 * 2.0**-11)] * (k - 1)]))


def test_a_sum_over_an_axis_in_16_bits_is_named() -> None:
    # Two columns: what lies together in memory is added up in float32.
    x = np.stack([stagnating(17), stagnating(17)], axis=-1)
    g = FLOAT16.round(np.linspace(-1, 1, x.size).reshape(x.shape))
    p = Problem("softmax", "float16", x, axis=1, cotangent=g)
    words = f"the sum over 17 classes {ADDED_UP}"
    assert words in mechanism(p, "value", softmax(half(x), 1).astype(float))
    assert words in mechanism(p, "vjp", gradient(half(x), half(g), 1).astype(float))


def test_any_order_of_additions_is_recognised() -> None:
    rng = np.random.default_rng(1)
    x = FLOAT16.round(rng.normal(size=(2, 1023)))
    e = np.exp(half(x) - half(x).max(axis=1, keepdims=True))
    order = rng.permutation(1023)
    total = np.add.accumulate(e[:, order], axis=1, dtype=np.float16)[:, -1:]
    assert ADDED_UP in mechanism(Problem("softmax", "float16", x), "value", (e / total).astype(float))


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_a_loss_of_such_a_sum_is_named(reduction: str) -> None:
    x, labels = np.repeat(stagnating(300), 3, axis=0), np.array([1, 0, 2])
    shifted = half(x)
    total = np.add.accumulate(np.exp(shifted), axis=1, dtype=np.float16)[:, -1]
    rows = np.log(total) - shifted[np.arange(3), labels]
    answer = rows if reduction == "none" else getattr(rows, reduction)()
    p = Problem("cross_entropy", "float16", x, target=labels, reduction=reduction)
    assert ADDED_UP in mechanism(p, "value", np.asarray(answer, float))


@pytest.mark.parametrize("op", ["softmax", "log_softmax"])
def test_a_sum_beyond_the_range_is_named(op: str) -> None:
    x = np.zeros((1, 70000))
    p = softmax(half(x))
    answer = p if op == "softmax" else np.log(p)
    words = mechanism(Problem(op, "float16", x), "value", answer.astype(float))
    assert words.startswith(f"the sum of a row's exponentials, 70000, is {BEYOND}"), words


def test_a_sum_of_cotangents_beyond_the_range_is_named() -> None:
    x = np.where(np.arange(70000) < 100, 0.0, -12.0)[None]
    p = Problem("log_softmax", "float16", x, cotangent=np.ones_like(x))
    words = mechanism(p, "vjp", np.full_like(x, -np.inf))
    assert words.startswith(f"the sum of a row's cotangents, 70000, is {BEYOND}"), words


def test_a_gradient_through_the_maximum_is_named() -> None:
    rng = np.random.default_rng(2)
    x = FLOAT16.round(rng.normal(size=(2, 500)))
    g = FLOAT16.round(rng.normal(size=(2, 500)))
    own = FLOAT16.round(g - np.exp(x - np.log(np.exp(x).sum(axis=1, keepdims=True))) * g.sum(axis=1, keepdims=True))
    passed = np.add.accumulate(half(own), axis=1, dtype=np.float16)[:, -1:].astype(float)
    through = own - (x == x.max(axis=1, keepdims=True)) * passed
    p = Problem("log_softmax", "float16", x, cotangent=g)
    assert THROUGH in mechanism(p, "vjp", through)
    # Another class that is off is none of this.
    other = own - (np.arange(500) == 0) * passed
    assert THROUGH not in mechanism(p, "vjp", other)


def test_a_wrong_sum_that_probabilities_share_out_is_no_gradient_through_the_maximum() -> None:
    x = np.where(np.arange(300) == 7, 0.0, -12.0)[None]
    g = FLOAT16.round(np.linspace(-1, 1, 300))[None]
    p = np.exp(x) / np.exp(x).sum()
    off = p * (g - (p * g).sum() + 0.05)
    assert THROUGH not in mechanism(Problem("softmax", "float16", x, cotangent=g), "vjp", off)


def test_what_is_wrong_otherwise_is_not_put_down_to_a_sum() -> None:
    rng = np.random.default_rng(3)
    x = FLOAT16.round(rng.normal(size=(3, 40)))
    exact = softmax(x)
    p = Problem("softmax", "float16", x)
    for answer in (exact * (1 + 2.0**-9 * rng.normal(size=x.shape)), exact[:, ::-1], np.zeros_like(x), exact * 2):
        assert ADDED_UP not in mechanism(p, "value", answer)
    assert ADDED_UP not in mechanism(replace(p, dtype="float32"), "value", exact * 1.01)


def test_every_mechanism_of_a_function_is_said() -> None:
    deck = select("default", ops=["softmax"], dtypes=["float16"])
    # What fails, and each tenth of the others.
    known = ("s1x17x24-", "n1-k70000")
    some = [c for i, c in enumerate(deck) if not c.is_check and (i % 10 == 0 or c.case.detail.startswith(known))]
    with np.errstate(all="ignore"):
        report = check_implementation(
            softmax, op="softmax", grad=gradient, dtypes=("float16",), calls=some, errors=False, cache=False
        )
    # What is right in float32 is wrong in float16: NumPy adds up in the dtype of the input along all axes but one.
    assert {o.case.detail.partition("-")[0] for o in report.failures} >= {"s1x17x24", "n1"}
    first, *others = [line for line in report.diagnosis.splitlines() if "of softmax in float16: " in line]
    assert BEYOND in first
    assert any(ADDED_UP in line for line in others)
    assert all(line.startswith("besides, ") for line in others)
