"""Losses of libraries on top of PyTorch: what is run is what is printed, and what they lack is said."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossproof.adapters.local import answer
from lossproof.adapters.protocol import Problem
from tests.support.forked import run_program

pytest.importorskip("torch")

X = np.array([[1.0, 0.0, 2.0], [0.0, 0.5, -1.0]])
PLAIN = Problem("cross_entropy", "float32", X, np.array([2, 0]), cotangent=np.array(1.0))


def adapter(**losses: Any) -> Any:
    from lossproof.adapters.torch_losses import TorchLosses

    return TorchLosses("mine", "torch", ("import torch.nn.functional as F",), losses)


def plain(p: Problem) -> str:
    from lossproof.adapters.torch_losses import logits, options, target

    named = {name: name for name in ("weight", "ignore_index", "label_smoothing", "reduction")}
    return f"F.cross_entropy({logits(p, 1)}, {target(p, 1)}, {options(p, **named)})"


def test_the_program_computes_what_the_adapter_does(tmp_path: Path) -> None:
    from lossproof.adapters.torch_losses import Loss

    mine = adapter(plain=Loss(plain, ("weight",)))
    p = replace(PLAIN, x=X.T.copy(), axis=0, weight=np.array([1.0, 2.0, 0.5]))
    found = answer(mine, p, "cpu", "plain").outputs
    script = tmp_path / "script.py"
    script.write_text(mine.script(p, "cpu", "plain"), encoding="utf-8")
    printed = run_program(script, ("torch",), backend="", variables={}).stdout
    for name in ("value", "vjp"):
        assert f"{name} {found[name].data.tolist()}" in printed
    assert f"torch {mine.describe().versions['torch']}" in printed


def test_a_mode_has_its_own_loss_and_its_own_capabilities() -> None:
    from lossproof.adapters.torch_losses import Loss

    double = Loss(lambda p: f"2 * {plain(p)}", offered={"reductions": ("sum",)})
    mine = adapter(plain=Loss(plain), double=double)
    assert mine.capabilities().in_mode("plain").reductions != ("sum",)
    assert mine.capabilities().in_mode("double").reductions == ("sum",)
    p = replace(PLAIN, reduction="sum")
    one, two = (float(answer(mine, p, "cpu", mode).outputs["value"].data) for mode in ("plain", "double"))
    assert two == pytest.approx(2 * one)


@pytest.mark.parametrize(
    ("loss", "p", "said"),
    [
        ({}, replace(PLAIN, weight=np.ones(3)), "it has no weight"),
        ({}, replace(PLAIN, ignore_index=2, label_smoothing=0.1), "it has no ignore_index, label_smoothing"),
        ({"widens": True}, replace(PLAIN, dtype="float16"), "its value is float32"),
        ({"refused": lambda p: "not today"}, PLAIN, "not today"),
    ],
)
def test_what_a_loss_lacks_is_unsupported(loss: dict[str, Any], p: Problem, said: str) -> None:
    from lossproof.adapters.torch_losses import Loss

    found = answer(adapter(plain=Loss(plain, **loss)), p, "cpu", "plain")
    assert (found.error, found.message) == ("unsupported", f"mine: {said}")


def test_an_unknown_reduction_is_asked_of_those_that_take_one() -> None:
    from lossproof.adapters.torch_losses import Loss

    mean = adapter(mean=Loss(lambda p: "F.cross_entropy(x, target)"), plain=Loss(plain))
    p = replace(PLAIN, reduction="total")
    assert answer(mean, p, "cpu", "mean").message == "mine: it has no argument for the reduction"
    assert answer(mean, p, "cpu", "plain").error == "bad_option"


def test_a_part_of_a_package_is_loaded_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lossproof.adapters.torch_losses import part

    (tmp_path / "large" / "loss").mkdir(parents=True)
    (tmp_path / "large" / "__init__.py").write_text("raise RuntimeError('it needs more')")
    (tmp_path / "large" / "loss" / "__init__.py").write_text("from .ours import ours")
    (tmp_path / "large" / "loss" / "ours.py").write_text("def ours(): return 7")
    (tmp_path / "large" / "alone.py").write_text("seven = 7")
    monkeypatch.syspath_prepend(str(tmp_path))
    names: dict[str, Any] = {}
    exec("\n".join([*part("large", "loss"), *part("large", "alone.py")]), names)
    assert (names["loss"].ours(), names["alone"].seven) == (7, 7)
    assert "large" not in sys.modules
    for name in [name for name in sys.modules if name.startswith("large_")]:
        del sys.modules[name]
    with pytest.raises(ModuleNotFoundError, match="'no_such_package'"):
        part("no_such_package", "loss")
