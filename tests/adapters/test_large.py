"""PyTorch's mode ``large``: rows are repeated beyond a number of elements, and what comes back is past it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch")

from lossproof.adapters import torch_large
from lossproof.adapters.protocol import Problem, UnsupportedProblem
from lossproof.adapters.torch import TorchAdapter
from lossproof.adapters.torch_ops import function, placed, pulled
from lossproof.core.call import Call
from lossproof.running.loop import run
from lossproof.targets.target import Target
from tests.adapters.test_adapters import PROBLEMS

pytestmark = pytest.mark.of("torch")

MANY = 20_000
ROWS = [name for name, p in PROBLEMS.items() if p.x.ndim > 1 and (not p.is_loss or p.reduction == "none")]


@pytest.fixture(autouse=True)
def _few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(torch_large.VARIABLE, str(MANY))


def test_a_cpu_has_the_mode_for_rehearsals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "large" in TorchAdapter().capabilities().modes
    monkeypatch.delenv(torch_large.VARIABLE)
    assert not torch_large.offered("cpu")
    assert torch_large.offered("cuda:1")


def test_right() -> None:
    target = Target(TorchAdapter(), "large")
    calls = [Call(PROBLEMS[name], name) for name in ROWS]
    found = [o for o in run([target], calls) if o.output in target.capabilities.outputs and "/all/" not in o.id]
    assert {o.case.op for o in found} == {"softmax", "log_softmax", "nll_loss", "cross_entropy"}
    assert {o.verdict for o in found} == {"pass"}, [o.message for o in found if o.verdict != "pass"]


def large(p: Problem, wrong: Callable[[Any], Any] | None = None) -> tuple[dict[str, Any], list[int]]:
    """Values of the mode, of an implementation that is ``wrong`` in its last step, and how large its input was."""
    sizes = []

    def f(x: Any, target: Any) -> Any:
        sizes.append(x.numel())
        value = function(p)(x, target, None, -100)
        return wrong(value) if wrong else value

    out = torch_large.evaluate(f, p, placed(p, "cpu"), ("value",))
    return {name: pulled(t).data for name, t in out.items()}, sizes


@pytest.mark.parametrize("name", ROWS)
def test_an_index_that_does_not_reach_the_end_shows(name: str) -> None:
    p = PROBLEMS[name]

    def short(value: Any) -> Any:
        # As elements past the number have an index that is another's.
        value = value.clone()
        value.view(-1)[MANY // (p.x.shape[p.axis] if p.is_loss else 1) :] = 0
        return value

    right, (size,) = large(p)
    assert size >= MANY + p.x.size
    assert right["value"].shape == p.shape_of("value")
    assert (large(p, short)[0]["value"] == 0).all()
    assert not (right["value"] == 0).all()


def test_rows_without_a_batch_are_left_out() -> None:
    p = next(p for p in PROBLEMS.values() if p.x.ndim == 1 and not p.is_loss)
    with pytest.raises(UnsupportedProblem, match="one row alone"):
        large(p)
