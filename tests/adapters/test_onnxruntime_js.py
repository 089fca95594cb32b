"""ONNX Runtime for Node and in WebAssembly: models are those of the adapter in Python, float16 is exact."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossproof.adapters.onnx_models import kinds_of, model
from lossproof.adapters.protocol import Problem
from lossproof.cases.catalogue import select
from lossproof.core.errors import UsageError
from lossproof.running.loop import run
from lossproof.targets import selection
from lossproof.targets.launch import Processes, adapters_folder
from lossproof.targets.target import Target

LIMITS = Processes(timeout=900)
FOLDER = adapters_folder() / "javascript"
pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
X = np.zeros((2, 3, 4))
LABELS = np.zeros((2, 4), np.int64)
PROBLEMS = {
    "softmax": Problem("softmax", "float32", X, axis=1),
    "log_softmax": Problem("log_softmax", "float16", X, axis=-1),
    "nll_loss": Problem("nll_loss", "float64", X, LABELS, axis=1, ignore_index=-(2**63)),
    "cross_entropy": Problem(
        "cross_entropy", "float32", X, LABELS.astype(np.int32), np.ones(3), axis=1, reduction="none", ignore_index=255
    ),
}


def node(program: str) -> Any:
    """What a program prints, which is JSON."""
    command = ["node", "--input-type=module", "-e", program]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def told(p: Problem) -> str:
    """A problem as the program that serves it gets it."""
    arrays = {name: getattr(p, name) for name in ("x", "target", "weight") if getattr(p, name) is not None}
    given = {name: {"dtype": a.dtype.str, "shape": a.shape} for name, a in arrays.items()}
    ignored = "" if p.ignore_index is None else f", ignore_index: {p.ignore_index}n"
    options = json.dumps({"op": p.op, "dtype": p.dtype, "axis": p.axis, "reduction": p.reduction, **given})
    return f"{{ ...{options}{ignored} }}"


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_model_is_that_of_the_adapter_in_python(name: str) -> None:
    onnx = pytest.importorskip("onnx")
    parser, printer = pytest.importorskip("onnx.parser"), pytest.importorskip("onnx.printer")
    p = PROBLEMS[name]
    module = json.dumps(str(FOLDER / "onnx_model.mjs"))
    text = node(
        f"import {{ modelOf }} from {module}; console.log(JSON.stringify(modelOf({told(p)}).toString('base64')))"
    )
    made = onnx.load_from_string(base64.b64decode(text))
    onnx.checker.check_model(made, full_check=True)
    expected = parser.parse_model(model(replace(p, axis=1 if p.axis == 1 else 2), "eager", kinds_of(p)))
    # The syntax of ONNX has no shape of a scalar: ``[]`` is one that is not known.
    assert printer.to_text(made) == printer.to_text(expected).replace("[] value", " value")


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"axis": 0}, "classes on axis 1 only"), ({"label_smoothing": 0.5}, "no label smoothing")],
)
def test_what_the_operators_have_no_option_for_is_refused(changes: dict[str, Any], said: str) -> None:
    module = json.dumps(str(FOLDER / "onnx_model.mjs"))
    more = json.dumps(changes)
    problem = f"{{ ...{told(PROBLEMS['cross_entropy'])}, ...{more} }}"
    refused = node(
        f"import {{ modelOf }} from {module};"
        f"try {{ modelOf({problem}) }} catch (e) {{ console.log(JSON.stringify([e.kind, e.message])) }}"
    )
    assert refused[0] == "unsupported"
    assert said in refused[1]


def test_numbers_of_float16_are_exact_both_ways() -> None:
    module = json.dumps(str(FOLDER / "onnxruntime_sessions.mjs"))
    numbers, back = node(
        f"import {{ halfBits, halfNumber }} from {module};"
        "const bits = Array.from({ length: 65536 }, (_, i) => i);"
        "const numbers = bits.map(halfNumber);"
        "console.log(JSON.stringify([numbers.map(String), numbers.map(halfBits)]))"
    )
    expected = np.arange(65536).astype(np.uint16).view(np.float16)
    found = np.array([float(text.replace("Infinity", "inf")) for text in numbers])
    assert np.array_equal(found, expected.astype(np.float64), equal_nan=True)
    kept = ~np.isnan(expected)
    # Of -0 the text is 0; its bits are looked at here.
    assert np.array_equal(np.array(back)[kept], np.arange(65536)[kept])


@pytest.fixture(params=["onnxruntime_node", "onnxruntime_web"])
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    try:
        (found,) = selection.choose_targets([request.param], LIMITS)
    except UsageError as error:
        pytest.skip(str(error))
    yield found
    selection.close([found])


def test_ordinary_calls_are_right(target: Target) -> None:
    calls = select("smoke", families=["ordinary", "confident"])
    found = list(run([target], [replace(c, tier="core") for c in calls if c.problem.x.shape == (2, 4)]))
    right = {tuple(o.id.split("/")[:2]) for o in found if o.verdict == "pass"}
    assert {(op, dtype) for op in ("softmax", "log_softmax") for dtype in ("float64", "float32", "float16")} <= right
    assert {(op, dtype) for op in ("nll_loss", "cross_entropy") for dtype in ("float32", "float16")} <= right
    assert not [o for o in found if o.verdict in ("crash", "timeout", "error")]


@pytest.mark.parametrize("name", ["onnxruntime_node:webgpu", "onnxruntime_web+browser"])
def test_on_webgpu_what_has_no_kernel_is_unsupported(name: str) -> None:
    try:
        (target,) = selection.choose_targets([name], LIMITS)
    except UsageError as error:
        pytest.skip(str(error))
    calls = select("smoke", ops=["softmax", "log_softmax"], dtypes=["float32"], families=["ordinary"])
    found = list(run([target], [replace(c, tier="core") for c in calls]))
    selection.close([target])
    verdicts = {(o.case.op, o.verdict) for o in found if o.output == "value"}
    assert ("softmax", "pass") in verdicts
    # Its CPU would answer.
    assert ("log_softmax", "unsupported") in verdicts
    assert ("log_softmax", "pass") not in verdicts


@pytest.mark.parametrize("name", ["onnxruntime_node", "onnxruntime_web"])
def test_without_its_package_it_says_what_to_install(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NODE_PATH", raising=False)
    package = name.replace("_", "-")
    with pytest.raises(UsageError, match=f"target {name}: {package} is not found from .*npm install"):
        selection.choose_targets([name], LIMITS)
