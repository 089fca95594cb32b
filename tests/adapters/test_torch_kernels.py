"""PyTorch's mode ``kernels``: what it calls, and that layouts reach results and given results."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lossproof.adapters.protocol import Problem

torch = pytest.importorskip("torch")
adapter = pytest.importorskip("lossproof.adapters.torch").ADAPTER

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.0, -0.75]])
P = Problem("softmax", "float64", X, cotangent=np.arange(6.0).reshape(2, 3))
LAYOUTS = adapter.capabilities().in_mode("kernels").layouts


@pytest.mark.parametrize("op", ["softmax", "log_softmax"])
def test_dense_results_are_those_of_autograd(op: str) -> None:
    p = replace(P, op=op)
    kernels, eager = (adapter.evaluate(p, "cpu", mode) for mode in ("kernels", "eager"))
    for name in ("value", "vjp"):
        np.testing.assert_array_equal(kernels[name].data, eager[name].data)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("op", ["softmax", "log_softmax"])
def test_the_script_does_the_same(op: str, layout: str) -> None:
    p = replace(P, op=op, layout=layout, axis=0)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(adapter.script(p, "cpu", "kernels"), "script", "exec"), {})
    told = dict(line.split(" ", 1) for line in printed.getvalue().splitlines())
    for name, tensor in adapter.evaluate(p, "cpu", "kernels").items():
        np.testing.assert_array_equal(np.array(eval(told[name], {"nan": np.nan})), tensor.data)


def test_the_kernels_are_given_results_in_the_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    strides: dict[str, Any] = {}

    def spy(name: str, of: str, kernel: Callable[..., object]) -> None:
        def call(*args: object, **given: object) -> object:
            strides.setdefault(name, given["out"] if "out" in given else args[1] if of == "result" else None)
            return kernel(*args, **given)

        monkeypatch.setattr(torch, name, call)

    spy("_softmax", "out", torch._softmax)
    spy("_softmax_backward_data", "result", torch._softmax_backward_data)
    adapter.evaluate(replace(P, layout="stepped"), "cpu", "kernels")
    assert {name: t.stride() for name, t in strides.items()} == dict.fromkeys(strides, (6, 2))
    assert len(strides) == 2
