"""Adapters of GPU interfaces fail, or refuse, where a call would run elsewhere than on the device that is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest

from lossproof.adapters.local import answer
from lossproof.adapters.protocol import Capabilities, Problem, Support
from lossproof.core.errors import UsageError
from lossproof.targets.target import Target, load_adapter

X = np.array([[0.0, 1.0, -2.0], [3.0, 0.5, 0.25]])


def adapter_on(name: str, device: str) -> Any:
    try:
        found = load_adapter(name)
    except UsageError as error:
        pytest.skip(str(error))
    if device not in found.capabilities().devices:
        pytest.skip(f"{name} finds no {device} here")
    return found


def test_what_differs_on_a_device_is_judged_there() -> None:
    ops = {"softmax": Support("native")}
    c = Capabilities(
        ops,
        devices=("cpu", "cl", "cl:1"),
        modes=("eager", "other"),
        by_mode={"other": {"compile_cost": "none"}},
        by_device={"cl": {"compile_cost": "dear", "profiles": {("softmax", "float32"): "S"}}},
    )
    assert c.in_mode("eager") is c is c.in_mode("eager", "cpu")
    assert [c.in_mode(mode, "cl:1").compile_cost for mode in c.modes] == ["dear", "none"]

    class Stub:
        name = "stub"

        def capabilities(self) -> Capabilities:
            return c

    profiles = [Target(Stub(), "eager", device).declared("softmax", "float32").profile for device in c.devices]  # type: ignore[arg-type]
    assert profiles == ["W", "S", "S"]


def test_tinygrad_says_where_a_result_is(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = adapter_on("tinygrad", "cl")
    tinygrad: Any = import_module("lossproof.adapters.tinygrad")
    assert answer(adapter, Problem("softmax", "float32", X), "cl", "eager").error is None
    made = tinygrad.Tensor
    monkeypatch.setattr(tinygrad, "Tensor", lambda a, device: made(a, device="CPU"))
    outcome = answer(adapter, Problem("softmax", "float32", X), "cl", "eager")
    assert outcome.error == "internal"
    assert "a result is on CPU; the inputs were placed on CL" in outcome.message


def test_onnxruntime_leaves_no_node_to_the_cpu() -> None:
    adapter = adapter_on("onnxruntime", "webgpu")
    p = Problem("log_softmax", "float32", X)
    refused = answer(adapter, p, "webgpu", "eager")
    assert refused.error == "unsupported"
    assert "the CPU's would run" in refused.message
    assert answer(adapter, p, "cpu", "eager").error is None
    assert answer(adapter, p, "webgpu", "expanded").error is None


@pytest.mark.parametrize(
    ("name", "device"), [("tinygrad", "cl"), ("onnxruntime", "webgpu"), ("ncnn", "vulkan"), ("iree", "vulkan")]
)
def test_devices_and_drivers_are_in_the_evidence(name: str, device: str) -> None:
    facts = adapter_on(name, device).describe().facts
    place = "cl" if device == "cl" else "vulkan"
    assert facts[place]
    assert any(character.isdigit() for character in facts[place])
