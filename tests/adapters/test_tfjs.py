"""TensorFlow.js, on the devices that are there: where Node finds it and, for those of a browser, where there is one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from lossproof.cases.catalogue import select
from lossproof.core.errors import UsageError
from lossproof.running.loop import run
from lossproof.targets import selection
from lossproof.targets.launch import Processes, adapters_folder
from lossproof.targets.target import Target

TARGETS = ("tfjs", "tfjs:wasm", "tfjs+browser", "tfjs+browser:webgpu")
LIMITS = Processes(timeout=900)
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


@cache
def start(name: str) -> Target | str:
    """The target, or why there is none here."""
    try:
        (target,) = selection.choose_targets([name], LIMITS)
    except UsageError as error:
        return str(error)
    return target


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    found = start(request.param)
    if isinstance(found, str):
        pytest.skip(found)
    yield found
    selection.close([found])
    start.cache_clear()


def test_ordinary_calls_are_right_and_the_device_is_named(target: Target) -> None:
    calls = select("smoke", dtypes=["float32"], families=["ordinary", "confident", "equal"])
    found = list(run([target], [replace(c, tier="core") for c in calls if c.problem.x.shape == (2, 4)]))
    right = {(o.id.split("/")[0], o.output) for o in found if o.verdict == "pass"}
    assert {
        (op, o) for op in ("softmax", "log_softmax", "nll_loss", "cross_entropy") for o in ("value", "vjp")
    } <= right
    assert not [o for o in found if o.verdict in ("crash", "timeout", "error")]
    facts, device = target.describe().facts, target.device
    assert facts["backend"] == device
    assert target.describe().versions["tfjs"]
    assert bool(facts.get("renderer")) == (device in ("webgl", "webgpu"))
    # Small tensors would be computed on the CPU otherwise.
    assert facts.get(f"{device.upper()}_CPU_FORWARD", "false") == "false"


@needs_node
def test_without_its_packages_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NODE_PATH", raising=False)
    for name, package in (("tfjs", "@tensorflow/tfjs"), ("tfjs+browser:webgpu", "playwright-core")):
        with pytest.raises(
            UsageError, match=f"target {name.replace('+', '.')}: {package} is not found from .*npm install"
        ):
            selection.choose_targets([name], LIMITS)


@needs_node
@pytest.mark.parametrize("chosen", ["cpu", "wasm"])
def test_what_was_computed_elsewhere_is_no_answer(chosen: str) -> None:
    """A stand-in for TensorFlow.js that has gone to another backend than the one asked for."""
    ops = adapters_folder() / "javascript" / "tfjs_ops.mjs"
    program = f"""
        import {{ chosen, computed }} from {json.dumps(str(ops))};
        const backend = {{}};
        const tensor = {{ shape: [1, 2], dtype: "float32", dataId: 1, data: async () => new Float32Array([0.5, 0.5]) }};
        const tf = {{
          env: () => ({{ flagRegistry: {{}} }}), ready: async () => {{}}, setBackend: async () => true,
          getBackend: () => "cpu", backend: () => backend, tensor: () => tensor, softmax: (x) => x, tidy: (f) => f(),
          dispose: () => {{}}, engine: () => ({{ state: {{ tensorInfo: new Map([[1, {{ backend }}]]) }} }}),
        }};
        const x = {{ shape: [1, 2], data: new Float32Array(2) }};
        const answers = [];
        const asked = {{ op: "softmax", axis: -1, wants: ["value"], x }}, name = {json.dumps(chosen)};
        for (const f of [() => chosen(tf, name), () => computed(tf, name, asked)]) {{
          answers.push(await f().then(() => "answered", (error) => error.message));
        }}
        console.log(JSON.stringify(answers));
    """
    done = subprocess.run(
        ["node", "--input-type=module", "-e", program], capture_output=True, text=True, check=True, env=os.environ
    )
    answers = json.loads(done.stdout)
    if chosen == "cpu":
        # sanity check: the stand-in does for a backend that is the right one, but for what WebAssembly tells
        assert answers == ["answered", "answered"]
    else:
        assert answers == [
            "TensorFlow.js chose the backend cpu, not wasm",
            "computed on cpu, not on wasm",
        ]
