"""A GPU, rehearsed on software devices and CPUs: one bundle of ``lossproof gpu``, and a script that is carried to
another environment, whose bundle is judged as a run is.

What is not installed here is left out; ``tox -e gpu-software`` has most of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from lossproof.core.errors import UsageError
from lossproof.running.detached import FOLLOW
from lossproof.targets.target import load_adapter
from tests.support.views import lossproof

TARGETS = ("torch:cpu", "jax:cpu", "tinygrad:cl", "onnxruntime:webgpu", "ncnn:vulkan", "iree:vulkan")


@pytest.fixture(scope="module", params=TARGETS)
def target(request: pytest.FixtureRequest) -> str:
    name, _, device = request.param.partition(":")
    try:
        devices = load_adapter(name).capabilities().devices
    except UsageError as error:
        pytest.skip(str(error))
    if device not in devices:
        pytest.skip(f"{name} finds no {device} here")
    return str(request.param)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An environment with everything that is here, but lossproof."""
    place = tmp_path_factory.mktemp("elsewhere")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    (site,) = place.glob("lib/python*/site-packages")
    packages = {sysconfig.get_path("purelib"), *(p for p in sys.path if p.endswith("site-packages"))}
    for entry in (e for folder in packages for e in Path(folder).iterdir()):
        if "lossproof" not in entry.name and entry.suffix != ".pth" and not (site / entry.name).exists():
            (site / entry.name).symlink_to(entry)
    python = str(place / "bin" / "python")
    # sanity check: the engine is not there
    assert subprocess.run([python, "-c", "import lossproof"], capture_output=True, check=False).returncode == 1
    return python


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("carried") / "judged.py"
    assert lossproof("gpu", "--script", str(path), "--deck", "smoke").exit_code == 0
    return path


def of(record: Path, device: str) -> dict[tuple[str, str], dict[str, Any]]:
    """What a record says of each call and output on a device."""
    lines = [json.loads(line) for line in record.read_text("utf-8").splitlines()]
    described = lines[0]["targets"]
    names = {name for name, d in described.items() if d["device"].partition(":")[0] == device}
    # What is said of an implementation depends on who else is in the run.
    found = [o for o in lines[1:-1] if o.get("target") in names and "/all/" not in o["id"]]
    return {(o["id"], o["output"]): {k: v for k, v in o.items() if k not in ("seconds", "target")} for o in found}


def test_a_bundle_and_what_is_carried_say_the_same(target: str, elsewhere: str, script: Path, tmp_path: Path) -> None:
    name, _, device = target.partition(":")
    bundle, away = tmp_path / "bundle", tmp_path / "away"
    direct = _bundled(name, device, bundle) if device != "cpu" else tmp_path / "direct.jsonl"
    if device == "cpu":
        # What a framework makes of a card is for a card; on a CPU all modes of it would take their time for nothing.
        assert lossproof("run", target, "--deck", "smoke", "--record", str(direct)).exit_code == 0
    done = subprocess.run(
        [elsewhere, script, str(away), "--target", target],
        cwd=script.parent,
        env=os.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=3600,
    )
    assert done.returncode == 0, done.stderr
    record = tmp_path / "carried.jsonl"
    judged = lossproof("judge", str(away), "--record", str(record))
    assert judged.exit_code == 0, judged.output
    found, carried = of(direct, device), of(record, device)
    # What cannot be asked detached says so.
    carried = {key: o for key, o in carried.items() if o.get("message") != FOLLOW}
    assert len(carried) > 20
    assert carried == {key: found[key] for key in carried}


def _bundled(name: str, device: str, bundle: Path) -> Path:
    """The record of the first step of ``lossproof gpu``, which is on a device beside the CPU."""
    made = lossproof("gpu", name, "--software", "--device", device, "--deck", "smoke", "--bundle", str(bundle))
    steps = json.loads((bundle / "summary.json").read_text())["steps"]
    assert (made.exit_code, steps[0]["exit_code"]) == (0, 0), steps[0]["said"]
    assert lossproof("judge", str(bundle)).exit_code == 2
    return bundle / f"{steps[0]['name']}.jsonl"
