"""``lossproof.gradcheck``: the derivatives of a function alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lossproof import UsageError, gradcheck


def softmax(x: Any, *, axis: int) -> Any:
    with np.errstate(all="ignore"):
        e = np.exp(x - x.max(axis=axis, keepdims=True))
        return e / e.sum(axis=axis, keepdims=True)


def softmax_grad(x: Any, cotangent: Any, *, axis: int) -> Any:
    p = softmax(x, axis=axis)
    with np.errstate(all="ignore"):
        return p * (cotangent - (p * cotangent).sum(axis=axis, keepdims=True))


def transposed_grad(x: Any, cotangent: Any, *, axis: int) -> Any:
    return -softmax_grad(x, cotangent, axis=axis)


pytestmark = pytest.mark.usefixtures("few_smaller_inputs")
X, V = np.array([[0.5, 1.0, -2.0]]), np.array([[1.0, 0.0, 0.25]])
DECK: Any = {"op": "softmax", "deck": "smoke", "dtypes": ("float32",)}


def test_right_derivatives_are_true() -> None:
    assert gradcheck(softmax, grad=softmax_grad, **DECK)
    assert gradcheck(softmax, {"logits": X, "cotangent": V}, op="softmax", grad=softmax_grad)


def test_wrong_derivatives_raise_and_say_where() -> None:
    with pytest.raises(AssertionError, match=r"\d+ of \d+ outputs fail") as deck:
        gradcheck(softmax, grad=transposed_grad, **DECK)
    assert "vjp got" in str(deck.value)
    assert "value got" not in str(deck.value)
    with pytest.raises(AssertionError, match=r"softmax\(float64 own n1-k3\): vjp got .* at \[0, 0\], exact in"):
        gradcheck(softmax, {"logits": X, "cotangent": V}, op="softmax", grad=transposed_grad)
    assert not gradcheck(softmax, grad=transposed_grad, raise_exception=False, **DECK)


def test_a_wrong_value_is_not_its_business() -> None:
    def off(x: Any, *, axis: int) -> Any:
        return softmax(x, axis=axis) * x.dtype.type(1.5)

    assert gradcheck(off, grad=softmax_grad, **DECK)
    with pytest.raises(AssertionError) as both:
        gradcheck(off, grad=transposed_grad, **DECK)
    assert "gradient of softmax in float32: its sign is wrong" in str(both.value)
    assert "value" not in str(both.value).replace("  raise SystemExit", "")


def test_no_derivative_is_no_success() -> None:
    with pytest.raises(AssertionError, match="no derivative was judged: no vjp on offer"):
        gradcheck(softmax, **DECK)
    assert not gradcheck(softmax, raise_exception=False, **DECK)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"outputs": ("value",)}, "unknown derivative 'value'"),
        ({"outputs": ()}, "outputs is empty"),
        ({"dtype": "float32"}, "unknown argument 'dtype'; did you mean dtypes"),
        ({"inputs": X}, r"inputs are \(logits,\), \(logits, target\) or a mapping"),
        ({"inputs": (X,)}, "the gradient of softmax needs a cotangent"),
        ({"inputs": {"logits": X, "axes": 1}}, "inputs hold another argument than enclose takes"),
    ],
)
def test_mistakes_are_one_clear_line(given: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        gradcheck(softmax, **{"op": "softmax", "grad": softmax_grad, **given})


@pytest.mark.of("torch")
def test_a_framework_differentiates_its_own_functions() -> None:
    torch = pytest.importorskip("torch")
    f = torch.nn.functional

    class WithoutTheMean(torch.autograd.Function):  # type: ignore[misc, name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any) -> Any:
            ctx.save_for_backward(x, y)
            return f.cross_entropy(x, y)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            x, y = ctx.saved_tensors
            return g * (torch.softmax(x, -1) - f.one_hot(y, x.shape[-1])), None

    inputs = (torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0]]), torch.tensor([1, 0]))
    assert gradcheck(f.cross_entropy, inputs, op="cross_entropy")
    with pytest.raises(AssertionError, match="vjp got"):
        gradcheck(WithoutTheMean.apply, inputs, op="cross_entropy")
