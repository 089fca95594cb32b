"""``lossproof.enclose``: certified values and bounds for a caller's own inputs, from Python."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from lossproof import Enclosures, UsageError, enclose
from lossproof.core.formats import FORMATS

X = np.array([[0.5, -1.0, 2.0], [30.0, 0.0, -30.0]])
Y = np.array([2, 0])


def cross_entropy(x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean and its gradient, in float64."""
    shifted = x - x.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    rows = np.arange(len(y))
    gradient = np.exp(log_p)
    gradient[rows, y] -= 1.0
    return -float(log_p[rows, y].mean()), gradient / len(y)


def test_the_exact_result_is_between_the_ends() -> None:
    e = enclose("softmax", np.zeros((1, 3)), cotangent=[[1.0, 0.0, 0.0]])
    third = Fraction(1, 3)
    assert all(Fraction(a) <= third <= Fraction(b) for a, b in zip(e.value.lower[0], e.value.upper[0], strict=True))
    assert np.all(e.value.upper - e.value.lower < 1e-15)
    assert Fraction(e.vjp.lower[0, 0]) <= Fraction(2, 9) <= Fraction(e.vjp.upper[0, 0])
    assert e.value.allowed.shape == e.vjp.allowed.shape == (1, 3)
    assert list(e) == ["value", "vjp"]


def test_a_correct_answer_passes_and_its_share_is_told() -> None:
    e = enclose("cross_entropy", X, Y)
    value, gradient = cross_entropy(X, Y)
    e.check(value, gradient)
    e.value.check(value)
    e.check(vjp=gradient.tolist())
    assert 0 <= e.value.share(value) <= 1
    assert (e.value.dtype, e.value.lower.shape, e.vjp.lower.shape) == ("float64", (), X.shape)


def test_a_wrong_answer_names_the_worst_entry() -> None:
    e = enclose("cross_entropy", X, Y)
    value, gradient = cross_entropy(X, Y)
    with pytest.raises(AssertionError, match=r"value got .* at \[\], exact in \[.*\], allowed .*x the bound; 1 of 1"):
        e.check(value * (1 + 1e-9), gradient)
    gradient[0, 1] *= 1.5
    with pytest.raises(AssertionError, match=r"vjp got .* at \[0, 1\], exact in .*; 1 of 6 entries outside"):
        e.vjp.check(gradient)
    assert e.vjp.share(gradient) > 1e6
    with pytest.raises(AssertionError, match="value got nan") as both:
        e.check(math.nan, gradient)
    assert "vjp got" in str(both.value)
    with pytest.raises(AssertionError, match=r"value has shape \(1,\), expected \(\)"):
        e.check([value])


def test_arguments_are_those_of_the_operation() -> None:
    x = np.moveaxis(np.stack([X, X]), -1, 1)
    y = np.array([Y, [1, -100]])
    e = enclose("cross_entropy", x, y, axis=1, ignore_index=-100, reduction="none", label_smoothing=0.125)
    assert (e.value.lower.shape, e.vjp.lower.shape) == ((2, 2), (2, 3, 2))
    assert e.value.lower[1, 1] == e.value.upper[1, 1] == 0.0
    # The log-probabilities of the second row are 0, -30 and -60 to thirteen digits.
    assert e.value.lower[0, 1] == pytest.approx(0.125 / 3 * 90, rel=1e-9)
    doubled = enclose("cross_entropy", x, y, axis=1, ignore_index=-100, reduction="none", cotangent=2.0)
    once = enclose("cross_entropy", x, y, axis=1, ignore_index=-100, reduction="none")
    assert np.allclose(doubled.vjp.lower, 2 * once.vjp.lower, rtol=1e-12)
    weighted = enclose("nll_loss", -np.abs(X), Y, weight=[1.0, 2.0, 3.0], reduction="sum")
    assert weighted.value.lower <= 3.0 * 2.0 + 1.0 * 30.0 <= weighted.value.upper
    assert weighted.value.upper - weighted.value.lower < 1e-12
    over_rows = enclose("nll_loss", -np.abs(X), Y, weight=[1.0, 2.0, 3.0], mean="mean_over_rows")
    assert over_rows.value.lower <= 18.0 <= over_rows.value.upper


def test_more_is_enclosed_of_what_is_given() -> None:
    q = np.full(X.shape, 0.25)
    e = enclose("cross_entropy", X, q, tangent=X, target_tangent=X)
    assert set(e) == {"value", "vjp", "jvp", "hvp", "grad_target", "mixed", "jvp_target"}
    assert e["mixed"].lower.shape == X.shape


def test_a_narrow_format_has_its_own_bound() -> None:
    x = FORMATS["bfloat16"].round(X)
    narrow, wide = (enclose("softmax", x, dtype="bfloat16", out_dtype=out) for out in (None, "float32"))
    strict = enclose("softmax", x, dtype="bfloat16", profile="W")
    assert np.all(narrow.value.allowed > strict.value.allowed)
    assert np.all(strict.value.allowed > wide.value.allowed)
    p = np.exp(X - X.max(axis=-1, keepdims=True))
    p = FORMATS["float32"].round(p / p.sum(axis=-1, keepdims=True))
    wide.check(p)
    narrow.check(FORMATS["bfloat16"].round(p))
    with pytest.raises(AssertionError, match=r"nor are its numbers those of bfloat16; enclose.*out_dtype"):
        narrow.check(p)


def test_special_values_are_required_or_accepted() -> None:
    e = enclose("log_softmax", [[0.0, -math.inf]])
    assert e.value.lower[0, 1] == e.value.upper[0, 1] == -math.inf
    assert e.value.allowed[0, 1] == 0.0
    e.check([[0.0, -math.inf]])
    with pytest.raises(AssertionError, match="not an accepted value"):
        e.check([[0.0, -1e300]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: enclose("softmin", X), "unknown op 'softmin'; did you mean softmax"),
        (lambda: enclose("softmax", "no array"), "logits is a str; expected an array or a tensor"),
        (lambda: enclose("softmax", [[1, 2]]), "logits have dtype int64; expected one of float64"),
        (lambda: enclose("softmax", X, dtype="float17"), "unknown dtype 'float17'"),
        (lambda: enclose("softmax", X / 3, dtype="float16"), "x holds values that float16 cannot represent"),
        (lambda: enclose("cross_entropy", X), "cross_entropy needs a target"),
        (lambda: enclose("cross_entropy", X, Y + 1), "label 3 is out of range"),
        (lambda: enclose("cross_entropy", X, Y == 1), "target has dtype bool"),
        (lambda: enclose("cross_entropy", X[None], [[1, 2, 0]]), "with the class axis 1; say axis=1"),
        (lambda: enclose("cross_entropy", X, Y, cotangent=[1.0]), r"cotangent has shape \(1,\); expected \(\)"),
        (lambda: enclose("cross_entropy", X, Y, tangent=[1.0]), r"tangent has shape \(1,\); expected \(2, 3\)"),
        (lambda: enclose("cross_entropy", X, Y, mean="median"), "unknown mean 'median'"),
        (lambda: enclose("cross_entropy", X, Y, profile="Q"), "unknown error profile 'Q'"),
        (lambda: enclose("softmax", X).vjp, "vjp was not asked for; give enclose cotangent"),
        (lambda: enclose("softmax", X)["gradient"], "unknown output 'gradient'"),
        (lambda: enclose("softmax", X).check(), "check was given nothing; expected some of value"),
        (lambda: enclose("softmax", X).check("x"), "value is a str; expected an array"),
    ],
)
def test_mistakes_are_one_clear_line(make: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_tensors_of_pytorch_are_taken_exactly() -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(X, dtype=torch.bfloat16, requires_grad=True)
    e = enclose("cross_entropy", x, torch.tensor(Y))
    _both(e, *_of_torch(torch, x))
    assert e.value.dtype == "bfloat16"


def _of_torch(torch: Any, x: Any) -> tuple[Any, Any]:
    value = torch.nn.functional.cross_entropy(x, torch.tensor(Y))
    return value, torch.autograd.grad(value, x)[0]


def test_arrays_of_jax_are_taken_exactly() -> None:
    jax = pytest.importorskip("jax")
    x, y = jax.numpy.asarray(X, dtype="bfloat16"), jax.numpy.asarray(Y)

    def loss(x: Any) -> Any:
        log_p = jax.nn.log_softmax(x.astype("float32"))
        return -log_p[jax.numpy.arange(2), y].mean().astype("bfloat16")

    _both(enclose("cross_entropy", x, y), *jax.value_and_grad(loss)(x))


def test_tensors_of_tensorflow_are_taken_exactly() -> None:
    tf = pytest.importorskip("tensorflow")
    x = tf.Variable(X.astype("float32"))
    with tf.GradientTape() as tape:
        value = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(tf.constant(Y), x))
    _both(enclose("cross_entropy", x, tf.constant(Y)), value, tape.gradient(value, x))


def _both(e: Enclosures, value: Any, gradient: Any) -> None:
    e.check(value, gradient)
    with pytest.raises(AssertionError, match="value got"):
        e.check(1.5 * value, gradient)
