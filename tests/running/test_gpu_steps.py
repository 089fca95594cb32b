"""What ``lossproof gpu`` runs, in which order, and the bundle that it writes of it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lossproof.adapters.protocol import Capabilities, Support
from lossproof.cli.commands import gpu
from lossproof.core.errors import UsageError
from lossproof.running.gpu_bundle import Steps, write_bundle
from lossproof.running.gpu_steps import GpuStep, chosen_devices, gpu_steps
from tests.support.thinned import WHOLE
from tests.support.views import lossproof

LOST = f"{Path(__file__).parents[1] / 'support' / 'lost_card.py'}:ADAPTER"

OPS = {"softmax": Support("native")}
TORCH = Capabilities(
    ops=OPS,
    devices=("cpu", "cuda:0", "cuda:1"),
    modes=("eager", "compile", "dynamic", "tf32"),
    by_mode={"compile": {"compile_cost": "dear"}, "dynamic": {"compile_cost": "dear"}},
)
JAX = Capabilities(ops=OPS, devices=("cpu", "gpu:0"), modes=("eager", "where"))
BROWSER = Capabilities(ops=OPS, modes=("eager", "browser"), by_mode={"browser": {"devices": ("webgl",)}})


def test_the_devices_are_those_that_are_no_cpu() -> None:
    assert chosen_devices(TORCH, [], software=False) == ["cuda:0", "cuda:1"]
    assert chosen_devices(TORCH, ["cuda:1", "cpu"], software=False) == ["cpu", "cuda:1"]
    assert chosen_devices(TORCH, ["cuda"], software=False) == ["cuda:0", "cuda:1"]
    assert chosen_devices(BROWSER, [], software=False) == []
    assert chosen_devices(BROWSER, [], software=True) == ["webgl"]


def test_smoke_of_every_device_comes_first_and_what_compiles_last() -> None:
    steps = gpu_steps({"torch": TORCH, "jax": JAX}, {"torch": ["cuda:0"], "jax": ["gpu:0"]}, "default")
    assert [(s.deck, *s.targets) for s in steps] == [
        ("smoke", "torch:cpu", "torch:cuda:0"),
        ("smoke", "jax:cpu", "jax:gpu:0"),
        ("smoke", "torch+tf32:cuda:0"),
        ("smoke", "jax+where:gpu:0"),
        ("default", "torch:cpu", "torch:cuda:0"),
        ("default", "jax:cpu", "jax:gpu:0"),
        ("default", "torch+tf32:cuda:0"),
        ("default", "jax+where:gpu:0"),
        ("smoke", "torch+compile:cuda:0"),
        ("smoke", "torch+dynamic:cuda:0"),
        ("default", "torch+compile:cuda:0"),
        ("default", "torch+dynamic:cuda:0"),
    ]
    assert steps[1].arguments() == ["run", "jax:cpu", "jax:gpu:0", "--deck", "smoke", "--require", "gpu:0"]
    assert [s.targets for s in gpu_steps({"tfjs": BROWSER}, {"tfjs": ["webgl"]}, "smoke")] == [("tfjs+browser:webgl",)]


def test_the_command_writes_a_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "bundle"

    def of_a_part(*, options: tuple[str, ...], **how: Any) -> Steps:
        # The command has no filters.
        return Steps(
            options=(*options, *(() if WHOLE else ("--op", "softmax", "--dtype", "float32", "--in-process"))), **how
        )

    monkeypatch.setattr(gpu, "Steps", of_a_part)
    result = lossproof("gpu", "numpy", "--device", "cpu", "--deck", "smoke", "--bundle", str(bundle))
    assert result.exit_code == 0, result.output
    summary = json.loads((bundle / "summary.json").read_text())
    (step,) = summary["steps"]
    assert (step["name"], step["exit_code"], step["ended"]) == ("01-smoke-numpy-cpu", 0, "all well")
    assert step["command"][3:8] == ["run", "numpy:cpu", "--deck", "smoke", "--require"]
    head = json.loads((bundle / "01-smoke-numpy-cpu.jsonl").read_text().splitlines()[0])
    assert list(head["targets"]) == ["numpy"]
    assert "OK (numpy: " in (bundle / "01-smoke-numpy-cpu.txt").read_text()
    assert summary["adapters"]["numpy"]["devices"] == ["cpu"]
    assert (bundle / "nvidia-smi.txt").read_text()
    again = lossproof("gpu", "numpy", "--device", "cpu", "--bundle", str(bundle))
    assert again.exit_code == 2
    assert "exists; expected the name of a new folder" in again.stderr


def test_no_device_is_exit_code_2(tmp_path: Path) -> None:
    result = lossproof("gpu", "numpy", "--bundle", str(tmp_path / "none"))
    assert result.exit_code == 2
    assert "no GPU here: numpy found none; --software also takes OpenCL, WebGPU and Vulkan" in result.stderr
    assert not (tmp_path / "none").exists()
    assert "no cuda here" in lossproof("gpu", "numpy", "--device", "cuda").stderr


def test_a_plan_is_printed_and_not_run(tmp_path: Path) -> None:
    result = lossproof("gpu", "numpy", "--device", "cpu", "--plan", "--bundle", str(tmp_path / "none"))
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"lossproof run numpy:cpu --deck {deck} --require cpu" for deck in ("smoke", "default")
    ]
    assert not (tmp_path / "none").exists()


def test_a_step_that_dies_or_hangs_costs_itself(tmp_path: Path) -> None:
    program = (
        "import os, sys, time\n"
        "print(sys.argv[1:], flush=True)\n"
        "if 'dies' in sys.argv: os.kill(os.getpid(), 9)\n"
        "if 'hangs' in sys.argv: time.sleep(600)\n"
    )
    steps = [GpuStep((name,), "cpu", "smoke") for name in ("dies", "hangs", "ends")]
    how = Steps(command=(sys.executable, "-c", program), seconds=5.0)
    done = write_bundle(tmp_path / "bundle", steps, how, {}, lambda line: None)
    assert [(d["exit_code"], d["ended"]) for d in done] == [
        (-9, "died with exit code -9"),
        (None, "ended after its time"),
        (0, "all well"),
    ]
    assert "'hangs'" in (tmp_path / "bundle" / "02-smoke-hangs.txt").read_text()
    assert json.loads((tmp_path / "bundle" / "summary.json").read_text())["steps"] == done
    with pytest.raises(UsageError, match="cannot write"):
        write_bundle(Path("/proc/nosuch"), steps, how, {}, lambda line: None)


def test_a_card_that_is_lost_in_the_middle_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU beside it is judged to the end, and what comes later says at once that there is no card."""
    monkeypatch.setenv("GONE", str(tmp_path / "gone"))
    card = replace(TORCH, devices=("cpu", "card:0"), modes=("eager", "other"), by_mode={})
    steps = gpu_steps({LOST: card}, {LOST: ["card:0"]}, "smoke")
    families = ("--family", "ordinary", "--family", "confident", "--family", "offset")
    options = ("--op", "log_softmax", "--dtype", "float32", *families)
    first, second = write_bundle(tmp_path / "bundle", steps, Steps(options=options), {}, lambda line: None)
    assert (first["exit_code"], second["exit_code"]) == (1, 2)
    assert ":card:0 was lost: not asked" in first["said"] or "crash" in first["said"]
    assert "has no device 'card:0' here; expected one of cpu" in second["said"]
    lines = [json.loads(line) for line in (tmp_path / "bundle" / f"{first['name']}.jsonl").read_text().splitlines()]
    verdicts = {target: {o["verdict"] for o in lines if o.get("target") == target} for target in lines[0]["targets"]}
    assert verdicts == {LOST: {"pass"}, f"{LOST}:card:0": {"pass", "crash"}}


def test_the_memory_of_cards_is_told_before_and_after_each_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text('#!/bin/sh\nif [ "$1" = -q ]; then echo all of it; else echo 0, 10, 80; fi\n')
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    how = Steps(command=(sys.executable, "-c", "print('said')"))
    (done,) = write_bundle(tmp_path / "bundle", [GpuStep(("a",), "cpu", "smoke")], how, {}, lambda line: None)
    assert (done["memory_before"], done["memory_after"], done["said"]) == ("0, 10, 80", "0, 10, 80", "said")
    assert (tmp_path / "bundle" / "nvidia-smi.txt").read_text() == "all of it\n"
