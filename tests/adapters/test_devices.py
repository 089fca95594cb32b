"""Devices that are not the default one, which a machine without accelerators has: what is placed on them stays there.

JAX divides the host into devices, TensorFlow has logical CPUs, PyTorch a registered backend of ``sim_device``. Each run
is a process of its own, because devices are set up before a framework starts.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1] / "support"
SETTINGS = {
    "jax": {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"},
    "tensorflow": {"LOSSPROOF_TF_LOGICAL_CPUS": "2"},
    "torch": {},
}
TARGETS = {
    "jax": ("jax:cpu:1", "jax+jit:cpu:1"),
    "tensorflow": ("tensorflow:cpu:1", "tensorflow+xla:cpu:1"),
    "torch": tuple(f"{HERE / 'sim_device.py'}:ADAPTER{mode}:sim" for mode in ("", "+functional")),
}
WRONG = {
    "jax": f"{HERE / 'misplaced.py'}:JAX:cpu:1",
    "tensorflow": f"{HERE / 'misplaced.py'}:TENSORFLOW:cpu:1",
    "torch": f"{HERE / 'misplaced.py'}:TORCH:sim",
}
SOME = ("--deck", "smoke", "--dtype", "float32", "--family", "ordinary", "--family", "masked")


def lossproof(framework: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    environment = {**os.environ, **SETTINGS[framework], "COLUMNS": "200"}
    command = [sys.executable, "-m", "lossproof", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)


@pytest.mark.parametrize("framework", TARGETS)
def test_another_device_conforms_and_is_in_the_record(framework: str, tmp_path: Path) -> None:
    record = tmp_path / "r.jsonl"
    done = lossproof(framework, "run", *TARGETS[framework], *SOME, "--record", str(record), "--strict")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in record.read_text("utf-8").splitlines()]
    seen = {line["target"] for line in lines if line.get("verdict") == "pass" and "/all/" not in line["id"]}
    # A device without a number is the first one.
    assert {name.removesuffix(":0") for name in seen} == set(TARGETS[framework])


@pytest.mark.parametrize("framework", WRONG)
def test_results_on_another_device_than_asked_for_fail(framework: str) -> None:
    done = lossproof(framework, "run", WRONG[framework], *SOME, "--op", "softmax")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "a result is on" in done.stdout
    assert " pass" not in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(("framework", "device"), [("torch", "cuda"), ("tensorflow", "gpu"), ("jax", "gpu")])
def test_a_device_that_is_required_and_absent_is_an_error(framework: str, device: str) -> None:
    done = lossproof(framework, "run", framework, "--deck", "smoke", "--require", device)
    if not done.returncode:
        pytest.skip(f"{framework} has a {device} here")
    assert done.returncode == 1
    assert f"required but missing: {device}; this run has {framework}" in done.stderr


@pytest.mark.parametrize("framework", TARGETS)
def test_a_device_that_is_asked_for_and_absent_is_an_error(framework: str) -> None:
    done = lossproof(framework, "run", f"{framework}:nowhere", "--deck", "smoke")
    assert done.returncode == 2
    assert "has no device 'nowhere' here; expected one of cpu" in done.stderr
