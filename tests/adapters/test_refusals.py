"""What an adapter, or a plain function, declares that it refuses is not asked of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lossproof import UsageError, check_implementation
from lossproof.adapters import local, wire
from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import Capabilities, Outcome, Problem, Support
from lossproof.cases.catalogue import select

X = np.array([[0.5, -1.0, 2.0, 0.25], [1.5, 0.0, -0.75, 1.0]])
LOSS = Problem("cross_entropy", "float32", X, np.array([1, 2]), cotangent=np.ones(()))
DECK = [c.problem for c in select("smoke")]


class Declared(NumpyAdapter):
    """NumPy's adapter, which declares something else, and fails where it is asked all the same."""

    def __init__(self, **declared: Any) -> None:
        super().__init__()
        self.declared = declared
        self.asked: list[Problem] = []

    def capabilities(self) -> Capabilities:
        return replace(super().capabilities(), **self.declared)

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        self.asked.append(problem)
        return super().evaluate(problem, device, mode)


@pytest.mark.parametrize(
    ("declared", "changes", "words"),
    [
        ({"reductions": ("mean",)}, {"reduction": "sum"}, "numpy has no reduction sum"),
        ({"ranks": (1, 3)}, {}, "numpy takes no input of 2 axes"),
        ({"full_smoothing": False}, {"label_smoothing": 1.0}, "numpy takes no label_smoothing of 1"),
        ({"fixed_ignore_index": -100}, {"ignore_index": 2}, "numpy ignores no label but -100"),
        ({"fixed_ignore_index": -100}, {"target": np.array([-100, 2])}, "numpy always ignores the label -100"),
    ],
)
def test_what_is_declared_is_refused_and_nothing_else(
    declared: dict[str, Any], changes: dict[str, Any], words: str
) -> None:
    adapter = Declared(**declared)
    answer = local.answer(adapter, replace(LOSS, **changes), "cpu", "eager")
    assert (answer.error, answer.message) == ("unsupported", words)
    assert not adapter.asked
    assert local.answer(Declared(), replace(LOSS, **changes), "cpu", "eager") != Outcome(
        error="unsupported", message=words
    )
    rest = {"ranks": (2,)} if "ranks" in declared else declared
    assert local.answer(Declared(**rest), LOSS, "cpu", "eager").error is None


@pytest.mark.parametrize(
    ("declared", "refused"),
    [
        ({"reductions": ("mean", "none")}, lambda p: p.is_loss and p.reduction == "sum"),
        ({"ranks": (2,)}, lambda p: p.x.ndim != 2),
        ({"full_smoothing": False}, lambda p: p.is_loss and p.label_smoothing == 1.0),
        (
            {"fixed_ignore_index": -100},
            lambda p: (
                p.is_loss
                and not p.has_probability_target
                and (p.ignore_index not in (None, -100) or (p.ignore_index is None and bool((p.target == -100).any())))
            ),
        ),
    ],
)
def test_of_the_deck_the_rest_is_asked(declared: dict[str, Any], refused: Any) -> None:
    capabilities = Declared(**declared).capabilities()
    found = [bool(local.refusal("numpy", capabilities, p)) for p in DECK]
    assert found == [bool(refused(p)) for p in DECK]
    assert any(found)
    assert not all(found)


def test_an_unknown_reduction_is_asked_of_everyone() -> None:
    """That it is an error is what is judged."""
    assert not local.refusal("numpy", Declared(reductions=("mean",)).capabilities(), replace(LOSS, reduction="total"))


def test_declarations_travel() -> None:
    declared = Declared(reductions=("mean",), ranks=(2,), full_smoothing=False, fixed_ignore_index=-100).capabilities()
    reader = wire.Reader()
    reader.feed(wire.pack({"kind": "hello", "capabilities": declared}))
    (message,) = reader.messages()
    assert message["capabilities"] == declared


def mean_of_labels(x: Any, *, target: Any, weight: Any, ignore_index: Any, reduction: str, axis: int) -> Any:
    """The mean of two axes, over labels that are not -100."""
    assert (x.ndim, reduction, ignore_index in (None, -100)) == (2, "mean", True)
    x, kept = np.moveaxis(x, axis, -1), target != -100
    label = np.where(kept, target, 0)
    if ((label < 0) | (label >= x.shape[-1])).any():
        raise IndexError("no such class")
    with np.errstate(all="ignore"):
        factors = (np.ones(x.shape[-1], x.dtype) if weight is None else weight)[label]
        factors = np.where(kept, factors, 0)
        rows = np.where(kept, -factors * np.take_along_axis(x, label[..., None], -1)[..., 0], 0)
        return np.asarray(rows.sum(dtype=x.dtype) / factors.sum(dtype=x.dtype)).astype(x.dtype)


def test_a_plain_function_may_declare_it_too() -> None:
    report = check_implementation(
        mean_of_labels,
        op="nll_loss",
        dtypes=["float32"],
        reductions=["mean"],
        ranks=[2],
        fixed_ignore_index=-100,
        errors=False,
    )
    report.raise_on_failure()
    assert report.judged > 5
    assert any("has no reduction" in why for why in report.unsupported)
    assert any("ignores no label but -100" in why for why in report.unsupported)
    with pytest.raises(UsageError, match="unknown reduction 'average'"):
        check_implementation(mean_of_labels, op="nll_loss", reductions=["average"])


def test_a_factor_on_the_input_is_for_those_that_declare_it() -> None:
    """An adapter that knows nothing of ``scale`` would compute another problem, and be failed for it."""
    softmax = Problem("softmax", "float32", np.array([1.0, 2.0]), scale=3.0)
    small = Capabilities({"softmax": Support("native")})
    assert local.refusal("small", small, softmax) == "small takes no factor on its input"
    assert not local.refusal("small", replace(small, scales=("softmax",)), softmax)
    assert not local.refusal("small", small, replace(softmax, scale=1.0))
    for adapter in (NumpyAdapter(), Declared()):
        assert not local.refusal("numpy", adapter.capabilities(), softmax)
