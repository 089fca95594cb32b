"""Functions on the tensors of the frameworks that are installed: right ones pass, mistakes are named."""

from __future__ import annotations

import importlib
import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossproof import Report, check_implementation
from lossproof.adapters.protocol import Problem
from lossproof.core.call import Call
from lossproof.core.import_lines import callable_text
from tests.support.frameworks import needs
from tests.support.thinned import WHOLE, nightly


def checked(function: Any, op: str = "cross_entropy", **given: Any) -> Report:
    arguments: dict[str, Any] = {"dtypes": ["float32"], "deck": "smoke", "errors": False, "cache": False} | given
    return check_implementation(function, op=op, **arguments)


@needs("torch")
def test_a_right_kernel_of_torch_passes_in_four_dtypes() -> None:
    from tests.support.torch_losses import loss

    report = checked(loss(), dtypes=None, ranks=(2,))
    report.raise_on_failure()
    asked = "\n".join(report.asked)
    assert "asked of fused: torch tensors; float64, float32, bfloat16, float16; class indices;" in asked
    assert "value, gradient; with ignore_index, label_smoothing" in asked
    assert "not asked: JVP (no rule for it)" in asked
    assert "not asked: HVP (what autodiff gives is not the derivative of its gradient" in asked


MISTAKES = {
    "no maximum": "the maximum of the row is not subtracted before exp",
    "no denominator": "the gradient lacks the mean's denominator",
    "ignored counted": "the mean divides by all rows, the ignored ones counted",
    "last label": "the label of the last class is off by one",
    "k - 1": "label smoothing divides eps by K - 1, not by K",
    "in place": "modified its input x",
}


SHOWN: dict[str, dict[str, Any]] = {
    "no denominator": {},
    "ignored counted": {"ignore_index": 1},
    "last label": {},
    "k - 1": {"label_smoothing": 0.25},
}


@needs("torch")
@pytest.mark.parametrize(("mistake", "words"), MISTAKES.items(), ids=MISTAKES)
def test_a_mistake_is_named(mistake: str, words: str) -> None:
    from tests.support.torch_losses import loss

    # Ignored rows of a mean are not in the smoke deck. At night they are found in the default one; most of the others
    # show in one call that has what they are wrong about.
    part: dict[str, Any] = {"deck": "default"} if mistake == "ignored counted" else {}
    if not WHOLE and mistake in SHOWN:
        part = {"calls": [a_mean(**SHOWN[mistake])]}
    report = checked(loss(mistake), ranks=(2,), max_classes=64, **part)
    assert not report.ok
    assert words in report.diagnosis, report.diagnosis


def a_mean(**options: Any) -> Call:
    x, labels = np.array([[0.5, 1.0, -2.0], [3.0, 0.25, 1.5], [1.0, 2.0, 3.0]]), np.array([0, 1, 2])
    p = Problem("cross_entropy", "float32", x, labels, cotangent=np.ones(()), **options)
    return Call(p, "mine")


@needs("torch")
def test_modules_and_functionals_are_functions() -> None:
    import torch
    from torch.nn import functional

    for f, op in ((torch.nn.Softmax(-1), "softmax"), (functional.log_softmax, "log_softmax")):
        report = checked(f, op)
        report.raise_on_failure()
        assert report.judged > 40
    report = checked(torch.nn.CrossEntropyLoss(reduction="sum"), ranks=(2,))
    assert "its only reduction is sum: it takes no argument for one" in report.asked
    assert report.judged


@needs("torch")
def test_apply_of_an_autograd_function_has_the_names_of_its_forward() -> None:
    import torch

    class Double(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, scores: Any, dim: int) -> Any:
            p = torch.softmax(scores, dim)
            ctx.save_for_backward(p)
            ctx.dim = dim
            return p

        @staticmethod
        def backward(ctx: Any, v: Any) -> Any:
            (p,) = ctx.saved_tensors
            return p * (v - (p * v).sum(ctx.dim, keepdim=True)), None

    report = checked(Double.apply, "softmax", name="Double")
    assert "with axis" in report.asked[0]
    report.raise_on_failure()


@needs("torch")
def test_a_result_that_is_cut_off_has_no_gradient() -> None:
    from tests.support.torch_losses import detached

    report = checked(detached, targets=["index"])
    assert any("it is cut off from the logits (detach, no_grad" in o.message for o in report.failures)
    assert checked(detached, targets=["index"], autodiff=False).ok


@needs("torch")
def test_a_result_among_several_and_one_of_none() -> None:
    from tests.support.torch_losses import of_two

    unpicked = checked(of_two, ranks=(2,), targets=["index"])
    assert "of_two returns a tuple of 2 (Tensor, Tensor), not a tensor of torch" in unpicked.failures[0].message
    assert len(unpicked.failures) == 1
    checked(of_two, ranks=(2,), targets=["index"], pick=0).raise_on_failure()


@needs("torch")
def test_a_function_on_arrays_in_a_file_that_imports_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the function itself speaks of comes before what its file does."""
    lines = (
        "import numpy as np, torch",
        "def softmax(x, axis=-1):",
        "    e = np.exp(x - x.max(axis=axis, keepdims=True))",
        "    return e / e.sum(axis=axis, keepdims=True)",
    )
    (tmp_path / "beside_torch.py").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    function = importlib.import_module("beside_torch").softmax
    with np.errstate(all="ignore"):
        report = checked(function, op="softmax", dtypes=("float32",), deck="smoke", errors=False)
    assert report.ok, str(report)
    assert "torch" not in report.asked[0]


@needs("torch")
def test_a_function_in_a_process_of_its_own_is_asked_there(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from tests.support.torch_losses import crashing

    # In this process it would not answer.
    monkeypatch.setattr(torch.nn.functional, "cross_entropy", None)
    report = checked(crashing, isolate=True, autodiff=False, calls=[of_rows(2)])
    assert "asked of crashing: torch tensors" in report.asked[0]
    assert [o.verdict for o in report.observations if o.output == "value"] == ["pass"]


# Five processes that import PyTorch; of NumPy's crashes every change is asked (test_isolation.py).
@nightly
@needs("torch")
def test_a_crash_costs_its_call() -> None:
    """Each crash costs a process, which imports PyTorch: of a call that nothing makes simpler there are few."""
    from tests.support.torch_losses import crashing

    report = checked(crashing, isolate=True, autodiff=False, calls=[of_rows(2), of_rows(3), of_rows(4)])
    assert "asked of crashing: torch tensors" in report.asked[0]
    values = [o.verdict for o in report.observations if o.output == "value"]
    assert values == ["pass", "crash", "pass"]


def of_rows(n: int) -> Call:
    p = Problem("cross_entropy", "float32", np.zeros((n, 1)), np.zeros(n, np.int64), cotangent=np.ones(()))
    return Call(p, "mine")


@needs("torch")
def test_a_program_calls_the_caller_s_function() -> None:
    from tests.support import torch_losses

    report = checked(torch_losses.detached, targets=["index"])
    assert "in your own code" not in report.diagnosis
    wrong = checked(torch_losses.loss("k - 1"), ranks=(2,))
    assert "import torch" in wrong.diagnosis
    assert "smoothing=" in wrong.diagnosis, "under the function's own name"
    assert "raise SystemExit(0 if right else 1)" in wrong.diagnosis
    assert callable_text(torch_losses.detached, "detached") == "detached"


@needs("jax")
def test_a_custom_vjp_of_jax() -> None:
    import functools

    import jax
    import jax.numpy as jnp

    def value(logits: Any, labels: Any, reduction: str) -> Any:
        x = logits - logits.max(-1, keepdims=True)
        log_p = x - jnp.log(jnp.exp(x).sum(-1, keepdims=True))
        rows = -jnp.take_along_axis(log_p, labels[..., None], -1)[..., 0]
        return {"none": lambda r: r, "sum": jnp.sum, "mean": jnp.mean}[reduction](rows), log_p

    def made(*, divides: bool) -> Any:
        @functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
        def loss(logits: Any, labels: Any, reduction: str = "mean") -> Any:
            return value(logits, labels, reduction)[0]

        def forward(logits: Any, labels: Any, reduction: str) -> Any:
            result, log_p = value(logits, labels, reduction)
            return result, (log_p, labels)

        def backward(reduction: str, kept: Any, g: Any) -> Any:
            log_p, labels = kept
            g = jnp.broadcast_to(g, labels.shape)[..., None]
            n = labels.size if divides and reduction == "mean" else 1
            return (jnp.exp(log_p) - jax.nn.one_hot(labels, log_p.shape[-1], dtype=log_p.dtype)) * g / n, None

        loss.defvjp(forward, backward)
        return loss

    given: dict[str, Any] = {"targets": ["index"], "ranks": (2,)}
    few = None if WHOLE else [a_mean()]
    right = checked(made(divides=True), **given, calls=few)
    right.raise_on_failure()
    assert "asked of loss: jax tensors" in right.asked[0]
    # One call is enough to be wrong about; at night it is among those of the deck.
    wrong = checked(made(divides=False), **given, calls=few)
    assert "lacks the mean's denominator" in wrong.diagnosis


@needs("tensorflow")
def test_a_custom_gradient_of_tensorflow() -> None:
    import tensorflow as tf

    def made(sign: float) -> Any:
        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def softmax(logits: Any) -> Any:
            p = tf.nn.softmax(logits)

            def gradient(v: Any) -> Any:
                return sign * p * (v - tf.reduce_sum(p * v, -1, keepdims=True))

            return p, gradient

        def f(logits: Any) -> Any:
            return softmax(logits)

        return f

    checked(made(1.0), "softmax", outputs=("value", "vjp")).raise_on_failure()
    wrong = checked(made(-1.0), "softmax", outputs=("value", "vjp"))
    assert "its sign is wrong" in wrong.diagnosis


@needs("keras")
def test_a_loss_of_keras_is_a_function_of_its_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    if "KERAS_BACKEND" not in os.environ:
        here = [name for name in ("tensorflow", "torch", "jax") if importlib.util.find_spec(name) is not None]
        monkeypatch.setenv("KERAS_BACKEND", here[0])
    import keras

    backend = keras.backend.backend()
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"Keras runs on {backend}, which is not here")
    report = checked(keras.losses.SparseCategoricalCrossentropy(from_logits=True), targets=["index"], ranks=(2,))
    assert f"{backend} tensors" in report.asked[0]
    # Known of Keras on JAX (docs/findings.md): a one-hot label times the log-probability of a masked class, 0 * -inf.
    known = {"masked"} if backend == "jax" else set()
    assert {o.id.split("/")[2] for o in report.failures} == known
    assert report.judged > 10


@needs("torch")
def test_a_label_that_is_ignored_always_is_found_out_by_its_failure() -> None:
    from tests.support.torch_losses import hides_the_ignored_label

    given: dict[str, Any] = {"ranks": (2,), "targets": ["index"], "errors": True}
    report = checked(hides_the_ignored_label, **given)
    assert "ignore_index=-100 says that this label is ignored always" in str(report)
    checked(hides_the_ignored_label, **given, ignore_index=-100).raise_on_failure()


@needs("torch")
def test_a_wider_result_is_hinted_at() -> None:
    from tests.support.torch_losses import of_float32

    given: dict[str, Any] = {"ranks": (2,), "targets": ["index"], "dtypes": ["bfloat16"]}
    report = checked(of_float32, **given)
    assert "result_dtype='float32' says that results are of this dtype" in str(report)
    checked(of_float32, **given, result_dtype="float32").raise_on_failure()
