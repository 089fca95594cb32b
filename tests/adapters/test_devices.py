"""Devices that are not the default one, which a machine without accelerators has: what is placed on them stays there.

JAX divides the host into devices, TensorFlow has logical CPUs, PyTorch a registered backend of ``sim_device``. The runs
of a framework have a process of their own, because devices are set up before it starts: with the targets in it, or, at
night, in processes of theirs, each of which imports the framework twice. A device that is not there needs nothing to be
set up.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner, Result

from lossproof.adapters import drivers
from lossproof.adapters.protocol import ProcessLost
from lossproof.cli.main import cli
from tests.support.thinned import WHOLE, nightly

HERE = Path(__file__).parents[1] / "support"
SETTINGS = {
    "jax": {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"},
    "tensorflow": {"LOSSPROOF_TF_LOGICAL_CPUS": "2"},
    "torch": {},
}
TARGETS = {
    "jax": ("jax:cpu:1", "jax+jit:cpu:1"),
    "tensorflow": ("tensorflow:cpu:1", "tensorflow+xla:cpu:1"),
    "torch": tuple(f"{HERE / 'misplaced.py'}:SIMULATED{mode}:sim" for mode in ("", "+functional")),
}
WRONG = {
    "jax": f"{HERE / 'misplaced.py'}:JAX:cpu:1",
    "tensorflow": f"{HERE / 'misplaced.py'}:TENSORFLOW:cpu:1",
    "torch": f"{HERE / 'misplaced.py'}:TORCH:sim",
}
# The calls of one family and shape have every array between them: labels, probabilities, weights, cotangents. Those of
# the others, for which most is compiled, are asked at night.
FAMILIES = ("hot", "masked", "ordinary") if WHOLE else ("hot",)
SHAPE = () if WHOLE else ("--id", "*/n2-k4*")
SOME = ("--deck", "smoke", "--dtype", "float32", *SHAPE, *(part for name in FAMILIES for part in ("--family", name)))
HOW = () if WHOLE else ("--in-process",)


def need(framework: str) -> None:
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")


def lossproof_here(framework: str, *arguments: str) -> Result:
    """Targets in this process, which has the framework imported."""
    need(framework)
    return CliRunner().invoke(cli, [*arguments, "--in-process"], prog_name="lossproof")


# Runs one after another, for one import of the framework. What a framework prints is no part of what they say.
RUNS = """
import json, sys
from click.testing import CliRunner
from lossproof.cli.main import cli
runs = [CliRunner().invoke(cli, words, prog_name="lossproof") for words in json.loads(sys.argv[1])]
with open(sys.argv[2], "w", encoding="utf-8") as file:
    json.dump([[done.exit_code, done.output] for done in runs], file)
"""


def lossproof(framework: str, folder: Path, *several: tuple[str, ...]) -> list[tuple[int, str]]:
    """The exit code of each command and what it printed."""
    need(framework)
    environment = {**os.environ, **SETTINGS[framework], "COLUMNS": "200"}
    file = folder / "runs.json"
    words = json.dumps([[*arguments, *HOW] for arguments in several])
    done = subprocess.run(
        [sys.executable, "-c", RUNS, words, file], env=environment, capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, done.stderr
    return [(code, text) for code, text in json.loads(file.read_text("utf-8"))]


class Runs(NamedTuple):
    """What is run of a framework: the record and the end of a run of right targets, and the end of one of a wrong one,
    which comes after it, because it changes the adapter."""

    targets: tuple[str, ...]
    record: Path
    right: tuple[int, str]
    wrong: tuple[int, str]


@pytest.fixture(scope="module", params=TARGETS)
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    framework, folder = request.param, tmp_path_factory.mktemp("runs")
    # The eager mode of PyTorch is that of the wrong one.
    targets = TARGETS[framework][-1:] if framework == "torch" and not WHOLE else TARGETS[framework]
    part = (*SOME, "--op", "softmax", "--op", "cross_entropy")
    record = folder / "r.jsonl"
    right = ("run", *targets, *part, "--record", str(record), "--strict")
    wrong = ("run", WRONG[framework], *SOME, "--op", "softmax")
    return Runs(targets, record, *lossproof(framework, folder, right, wrong))


def test_another_device_conforms_and_is_in_the_record(runs: Runs) -> None:
    code, text = runs.right
    assert code == 0, text
    lines = [json.loads(line) for line in runs.record.read_text("utf-8").splitlines()]
    seen = {line["target"] for line in lines if line.get("verdict") == "pass" and "/all/" not in line["id"]}
    # A device without a number is the first one.
    assert {name.removesuffix(":0") for name in seen} == set(runs.targets)


def test_results_on_another_device_than_asked_for_fail(runs: Runs) -> None:
    code, text = runs.wrong
    assert code == 1, text
    assert "a result is on" in text
    assert " pass" not in text.splitlines()[-1]


@nightly
@pytest.mark.of("torch")
def test_the_stand_in_for_a_gpu_ends_as_written(tmp_path: Path) -> None:
    """docs/gpu.md: one failure, PyTorch's own, and exit code 1; the other families of the smoke deck conform."""
    page = (HERE.parents[1] / "docs" / "gpu.md").read_text("utf-8")
    assert "ends with exit code 1 and one failure, a sum in\n  float16 that overflows" in page
    part = ("--deck", "smoke", "--op", "cross_entropy", "--dtype", "float16", "--family", "scaled_overflow")
    target = f"{HERE / 'sim_device.py'}:ADAPTER:sim"
    ((code, text),) = lossproof("torch", tmp_path, ("run", target, *part, "--quiet"))
    assert code == 1, text
    assert text.splitlines()[-1].startswith("FAILED: 1 fail (")
    assert "value got inf at []" in text


@pytest.mark.parametrize(("framework", "device"), [("torch", "cuda"), ("tensorflow", "gpu"), ("jax", "gpu")])
def test_a_device_that_is_required_and_absent_is_an_error(framework: str, device: str) -> None:
    done = lossproof_here(framework, "run", f"{framework}:cpu", "--deck", "smoke", "--require", device)
    assert done.exit_code == 1
    assert f"required but missing: {device}; this run has {framework}" in done.stderr


@pytest.mark.parametrize("framework", TARGETS)
def test_a_device_that_is_asked_for_and_absent_is_an_error(framework: str) -> None:
    done = lossproof_here(framework, "run", f"{framework}:nowhere", "--deck", "smoke")
    assert done.exit_code == 2
    assert "has no device 'nowhere' here; expected one of cpu" in done.stderr


# What ends a CUDA context, without CUDA


ASSERTED = "CUDA error: device-side assert triggered"
STRAYED = "CUDA error: an illegal memory access was encountered"


def broken(text: str) -> Callable[[object], None]:
    """A synchronisation of a device whose context has ended."""

    def synchronize(device: object) -> None:
        raise RuntimeError(text)

    return synchronize


@pytest.mark.of("torch")
@pytest.mark.parametrize(("text", "kind"), [(ASSERTED, "bad_label"), (STRAYED, "crash")])
def test_a_call_that_ends_its_context_is_the_last_of_its_process(
    text: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    from lossproof.adapters.torch import ADAPTER
    from lossproof.adapters.torch_devices import watched

    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)

    def call() -> None:
        with watched("cuda:0", ADAPTER.error_kind):
            monkeypatch.setattr(torch.cuda, "synchronize", broken(text))
            raise RuntimeError(text)

    with pytest.raises(ProcessLost) as caught:
        call()
    assert caught.value.kind == kind
    assert str(caught.value.__cause__) == text
    # In one process nothing is restarted: what comes later is never taken for an answer.
    with pytest.raises(ProcessLost) as later:
        call()
    assert later.value.kind == "crash"


@pytest.mark.of("torch")
def test_an_exception_that_leaves_the_context_passes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    from lossproof.adapters.torch_devices import watched

    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    with pytest.raises(ValueError, match="of the call"), watched("cuda:0", lambda error: "internal"):
        raise ValueError("of the call")
    # No other device is asked.
    monkeypatch.setattr(torch.cuda, "synchronize", broken(ASSERTED))
    with pytest.raises(ValueError, match="of the call"), watched("cpu", lambda error: "internal"):
        raise ValueError("of the call")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19\nGCC 9.4.0\n",
            "535.129.03",
        ),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build  (a@b)\n", "580.159.04"),
        ("something else 1.2.3 \n", ""),
        (None, ""),
    ],
    ids=["proprietary", "open", "other", "none"],
)
def test_the_driver_tells_its_version(
    text: str | None, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "version"
    if text is not None:
        file.write_text(text, "utf-8")
    monkeypatch.setattr(drivers, "_FILE", str(file))
    assert drivers.nvidia_driver() == version


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 1 bytes", "resource"),
        ("NOT_FOUND: All configs failed: CUDA_ERROR_OUT_OF_MEMORY: out of memory", "resource"),
        ("INTERNAL: something", "internal"),
    ],
)
def test_jax_names_memory_that_does_not_suffice(text: str, kind: str) -> None:
    pytest.importorskip("jax")
    from lossproof.adapters.jax import ADAPTER

    assert ADAPTER.error_kind(RuntimeError(text)) == kind


def test_what_torch_cannot_compile_is_no_bad_shape() -> None:
    pytest.importorskip("torch")
    from lossproof.adapters.torch import ADAPTER

    assert ADAPTER.error_kind(RuntimeError("Cannot call numel() on tensor with symbolic sizes/strides")) == "internal"
    assert ADAPTER.error_kind(RuntimeError("Expected sizes of tensors to match")) == "bad_shape"
