"""Adapters run what is timed on tensors of their own. How long it takes is not looked at."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from lossproof.adapters import kernel_times
from lossproof.adapters.kernel_times import Action
from lossproof.adapters.protocol import LOSSES, OPS
from lossproof.targets.target import parse_target

TIMED = ("torch", "torch+vmap", "torch+double-backward", "tensorflow", "tensorflow+graph", "jax", "jax+jit")


@pytest.mark.parametrize("name", TIMED)
def test_what_is_timed_is_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the input, the value without a gradient, and both; an answer from NumPy's arrays is timed of none."""
    pytest.importorskip(name.partition("+")[0])
    target = parse_target(name)
    asked: list[tuple[str, ...]] = []
    times = dict.fromkeys(("copy", "value", "vjp"), 0.5)

    def measured(actions: Mapping[str, Action], clock: object) -> dict[str, float]:
        asked.append(tuple(actions))
        for action in (*actions.values(), *actions.values()):
            action()
        return times

    monkeypatch.setattr(kernel_times, "measured", measured)
    monkeypatch.setattr(type(target.adapter), "evaluate", None)
    for op in OPS:
        assert target.kernel_times(op, "bfloat16" if op in LOSSES else "float32", (4, 6)) == times
    assert asked == [("copy", "value", "vjp")] * len(OPS)
