"""Adapters in JavaScript: what ``lossproof new-adapter`` writes is right, and a wrong one is not."""

from __future__ import annotations

import ast
import json
import math
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from lossproof.adapters import wire
from lossproof.targets.launch import adapters_folder
from tests.support.thinned import WHOLE
from tests.support.views import lossproof

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
PART = ("--deck", "smoke", "--strict", "--require", "mine")


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program of a new adapter, in the folder from which it is run."""
    made = lossproof("new-adapter", "mine", "--language", "javascript", "--folder", str(tmp_path / "mine"))
    assert made.exit_code == 0, made.output
    assert 'lossproof run "exec:node mine.mjs" --deck smoke' in made.output
    monkeypatch.chdir(tmp_path / "mine")
    return tmp_path / "mine" / "mine.mjs"


def test_a_new_adapter_is_short(mine: Path) -> None:
    for file in (mine, mine.with_name("wire.mjs")):
        assert len(file.read_text().splitlines()) < 200
    assert "$" + "name" not in mine.read_text()


@needs_node
def test_a_new_adapter_passes(mine: Path) -> None:
    ran = lossproof(
        "run",
        "exec:node mine.mjs",
        *PART,
        *(() if WHOLE else ("--dtype", "float32", "--op", "softmax", "--op", "cross_entropy")),
    )
    assert ran.exit_code == 0, ran.output
    assert " pass" in ran.output.splitlines()[-1]


@needs_node
@pytest.mark.parametrize(
    ("right", "wrong", "op", "family", "said"),
    [
        ("round(v - top)))", "v))", "softmax", "dominating", "got"),
        ("round(Math.exp(d))", "Math.fround(Math.exp(d) * 1.001)", "log_softmax", "ordinary", "got"),
        ("round(total * v) - c[j]", "round(total * v) - 2 * c[j]", "cross_entropy", "ordinary", "vjp got"),
        (
            'throw new Refusal("bad_label"',
            'if (k > 1e9) throw new Refusal("bad_label"',
            "cross_entropy",
            "error",
            "label",
        ),
        ("const round = ROUND[problem.dtype];", "const round = ROUND.float32;", "softmax", "ordinary", "float64"),
    ],
    ids=["maximum", "exponential", "gradient", "label", "rounding"],
)
def test_a_wrong_one_fails(mine: Path, right: str, wrong: str, op: str, family: str, said: str) -> None:
    text = mine.read_text()
    # sanity check: there is something to break
    assert right in text
    mine.write_text(text.replace(right, wrong))
    part = () if WHOLE else ("--family", family)
    ran = lossproof("run", "exec:node mine.mjs", *PART, "--op", op, *part)
    assert ran.exit_code == 1, ran.output
    assert said in ran.output


@needs_node
def test_labels_beyond_the_integers_of_javascript_are_themselves(mine: Path) -> None:
    """The label 2**53 + 1 is not the ignored one, 2**53."""
    mine.write_text(mine.read_text().replace("BigInt(label) !== BigInt(ignore)", "Number(label) !== Number(ignore)"))
    ran = lossproof(
        "run", "exec:node mine.mjs", *PART, "--op", "cross_entropy", "--dtype", "float32", "--family", "error"
    )
    assert ran.exit_code == 1
    assert "label 9007199254740993 of 4 classes" in ran.output


@needs_node
def test_a_mode_that_it_does_not_have_is_named(mine: Path) -> None:
    ran = lossproof("run", "exec:node mine.mjs:gpu", *PART)
    assert ran.exit_code == 2
    assert "mine has no device 'gpu' here; expected one of cpu" in ran.stderr
    failing = mine.read_text().replace(
        "open: () => (", "open: () => { throw new Error('no such chip') }, unused: () => ("
    )
    mine.write_text(failing)
    assert "exec:node mine.mjs: no such chip" in lossproof("run", "exec:node mine.mjs", *PART).stderr


@needs_node
def test_values_arrive_as_they_are(mine: Path) -> None:
    floats = (0.1, -0.0, 5e-324, 2.0**-1022, -1.7976931348623157e308, math.inf, -math.inf, math.nan, 1.0)
    a = np.array([[1, -(2**62)], [2**63 - 1, 0]])
    frame = wire.pack({"kind": "x", "floats": floats, "a": a, "b": np.array([True, False]), "c": np.zeros((0, 3))})
    mine.with_name("frame").write_bytes(frame)
    program = """
        import { readFileSync } from "node:fs";
        import { decode } from "./wire.mjs";
        const frame = readFileSync("frame"), end = 24 + frame.readUInt32BE(12);
        const bytes = Object.assign(frame.subarray(end), { at: 0 });
        const { floats, a, b, c } = decode(JSON.parse(frame.toString("utf8", 24, end)), bytes);
        const bits = Array.from(new BigUint64Array(Float64Array.from(floats).buffer), String);
        const others = [a.shape, Array.from(a.data, String), Array.from(b.data), c.shape, c.data.length];
        console.log(JSON.stringify([bits, ...others]));
    """
    done = subprocess.run(
        ["node", "--input-type=module", "-e", program], capture_output=True, text=True, check=True, cwd=mine.parent
    )
    bits = [str(n) for n in np.array(floats).view(np.uint64)]
    assert json.loads(done.stdout) == [bits, [2, 2], [str(n) for n in a.ravel()], [1, 0], [0, 3], 0]


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    for arguments, message in (
        (("--language", "cobol"), "unknown language 'cobol'"),
        (("--language", "javascript", "--framework", "torch"), "--framework is one of Python's; leave it out"),
    ):
        result = lossproof("new-adapter", "mine", *arguments, "--folder", str(tmp_path / "there"))
        assert result.exit_code == 2
        assert message in result.stderr


def test_words_of_onnxruntime_are_of_the_same_kind_in_both_languages() -> None:
    """The adapter in Python is read, not imported: it needs ONNX Runtime, and the words do not."""
    module = ast.parse((adapters_folder() / "onnxruntime.py").read_text("utf-8"))
    values = [n.value for n in module.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "_MESSAGES"]
    told = ast.literal_eval(values[0])
    text = (adapters_folder() / "javascript" / "onnxruntime_sessions.mjs").read_text("utf-8")
    rows = re.findall(r'^  \[/(.+)/(i?), "(\w+)"\],$', text, re.M)
    assert len(told) >= 10
    assert {kind for _, _, kind in rows} >= {kind for _, kind in told}
    for words, kind in told:
        found = (k for pattern, flag, k in rows if re.search(pattern, words, re.I if flag else 0))
        assert next(found, "internal") == kind, words
