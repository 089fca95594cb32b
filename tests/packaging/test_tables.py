"""What an output is and what a format is stands in one table each: adding one touches the table, the formula, the
bound and the adapters, nothing else.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path

import pytest

from lossproof.adapters.outputs import OUTPUTS, TABLE
from lossproof.adapters.protocol import OPS, Problem
from lossproof.core.formats import FORMATS

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "conformance"

# Modules that may name outputs, and why; "value" and "vjp" are what every relation and error case speaks of.
OUTPUT_MODULES = {
    "truth/oracle/formulas.py": "the formulas",
    "truth/bounds/allowed.py": "the bounds of softmax and log-softmax",
    "truth/bounds/losses.py": "the bounds of the losses",
    "truth/special_derivatives.py": "special values of single outputs",
    "cases/relations.py": "the relation between the two backward passes",
}
# Modules that may name formats, and why.
FORMAT_MODULES = {
    "core/formats.py": "the table",
    "cases/catalogue.py": "the format in which most is asked",
    "cases/clause_calls.py": "the format in which most is asked",
    "cases/scaled_logits.py": "the format in which most is asked",
    "cases/signatures.py": "the formats of the smoke deck and of the core signatures",
}


@cache
def strings_of(path: Path) -> frozenset[str]:
    """The strings that a module has."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return frozenset(n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str))


def spelt(root: Path, names: Collection[str]) -> dict[str, set[str]]:
    """The modules under a folder that spell one of the names as a string of its own."""
    found: dict[str, set[str]] = {}
    for path in sorted(root.rglob("*.py")):
        # What is a string stands there.
        text = path.read_text(encoding="utf-8")
        strings = strings_of(path) if any(name in text for name in names) else frozenset()
        if strings & set(names):
            found[path.relative_to(root).as_posix()] = {*names} & strings
    return found


def test_outputs_are_named_where_they_are_defined() -> None:
    assert set(spelt(ENGINE, set(OUTPUTS) - {"value", "vjp"})) == set(OUTPUT_MODULES)


def test_formats_are_named_where_they_are_defined() -> None:
    assert set(spelt(ENGINE, FORMATS)) == set(FORMAT_MODULES)


def test_the_walk_sees_a_name_in_a_comparison_and_in_a_tuple(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('x = name == "jvp"\n', encoding="utf-8")
    (tmp_path / "b.py").write_text('x = ("float16", "jvp_target")  # mixed\n', encoding="utf-8")
    assert spelt(tmp_path, {*OUTPUTS, *FORMATS}) == {"a.py": {"jvp"}, "b.py": {"float16", "jvp_target"}}


@pytest.mark.parametrize("output", TABLE.values(), ids=OUTPUTS)
def test_the_table_is_sound(output: object) -> None:
    entry = TABLE[output.name]  # type: ignore[attr-defined]
    assert set(entry.formulas) <= set(OPS)
    assert set(entry.needs) <= set(Problem.__dataclass_fields__)
    assert entry.repeats is None or TABLE[entry.repeats].repeats is None
    assert (entry.order == 0) == (entry.name == "value")


def engine(tmp_path: Path, insertions: Mapping[str, tuple[str, str]]) -> Path:
    """A copy of the engine with a line inserted in each of some files."""
    copy = tmp_path / "lossproof"
    shutil.copytree(ENGINE, copy)
    for part in ("adapters", "golden"):
        shutil.copytree(ROOT / part, copy / part)
    for name, (place, new) in insertions.items():
        text = (copy / name).read_text(encoding="utf-8")
        assert text.count(place) == 1, f"{name}: {place!r} stands there {text.count(place)} times"
        (copy / name).write_text(text.replace(place, place + new), encoding="utf-8")
    return tmp_path


def python(where: Path, *arguments: str) -> list[str]:
    """The lines that a program prints that uses the copy; its exit code must be 0."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=where,
        env={**os.environ, "PYTHONPATH": str(where), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def lossproof(where: Path, *arguments: str) -> list[str]:
    """The lines that a command of the copy prints."""
    return python(where, "-m", "lossproof", *arguments)


# Commands in one process, those after the first of a case that it has recorded, and the derivatives that a function may
# have.
SEVERAL = """
import json, sys
from click.testing import CliRunner
from lossproof.cli.main import cli
from lossproof.targets.plain_function import DERIVATIVES

case = ""
for arguments in json.loads(sys.argv[1]):
    arguments = [a.replace("CASE", case) for a in arguments]
    result = CliRunner().invoke(cli, arguments, prog_name="lossproof")
    assert result.exit_code == 0, result.output
    print(result.stdout)
    if not case:
        lines = map(json.loads, open("record.jsonl", encoding="utf-8"))
        case = next(line["id"] for line in lines if line.get("output") == "negated")
print(*DERIVATIVES)
"""


# The negated gradient of softmax: its entry, its formula, its bound, and the adapter that offers it.
ENTRY = """        Output(
            name="negated",
            words="negated gradient",
            order=1,
            formulas={"softmax": "-p_i (v_i - sum_j p_j v_j)"},
            takes=("cotangent",),
        ),
"""
# For each file a text that stands there once, and what is inserted after it.
NEGATED = {
    "adapters/outputs.py": ("TABLE: Mapping[str, Output] = {\n    output.name: output\n    for output in (\n", ENTRY),
    "truth/oracle/formulas.py": (
        '        out["vjp"] = _tangent(s, parts.p, s.exact(batch.cot))\n',
        '        out["negated"] = -out["vjp"]\n',
    ),
    "truth/bounds/allowed.py": (
        '        out["vjp"] = tangent_softmax(rows, model, batch.cot, softmax.T_softmax)\n',
        '        out["negated"] = out["vjp"]\n',
    ),
    "adapters/numpy.py": (
        "            out[name] = p * (rows - _total(p * rows))\n",
        '    if "vjp" in out:\n        out["negated"] = -out["vjp"]\n',
    ),
    "adapters/numpy_source.py": (
        '_TANGENT % ("v", "v") if p.op == "softmax" else "v - p * %s" % _total("v"))]\n',
        '        out += ["negated = -vjp"]\n',
    ),
}
SMOKE = ("--deck", "smoke")
ASKED = ("numpy", *SMOKE, "--in-process", "--op", "softmax", "--dtype", "float32", "--family", "ordinary")


@pytest.fixture(autouse=True)
def _by_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays judge what is new in any case: what the compiled pass has would be compiled for every copy of the
    engine."""
    monkeypatch.setenv("LOSSPROOF_COMPILED", "0")


def test_an_output_is_an_entry_a_formula_a_bound_and_an_adapter(tmp_path: Path) -> None:
    where = engine(tmp_path, NEGATED)
    case = ("--target", "numpy", *SMOKE, "CASE")
    first = ("run", *ASKED, "--record", "record.jsonl")
    commands = [first, ("explain", *case), ("repro", *case, "--output", "negated", "--issue")]
    *printed, derivatives = python(where, "-c", SEVERAL, json.dumps(commands))
    record = Path(where, "record.jsonl").read_text(encoding="utf-8")
    found = [line for line in map(json.loads, record.splitlines()) if line.get("output") == "negated"]
    assert found
    assert {o["verdict"] for o in found} == {"pass"}
    at = printed.index("# negated gradient of softmax in float32 is right")
    assert any("negated" in line for line in printed[:at])
    assert any("`-p_i (v_i - sum_j p_j v_j)`" in line for line in printed[at:])
    assert "negated" in derivatives.split()


def test_an_output_with_a_wrong_formula_fails(tmp_path: Path) -> None:
    place, formula = NEGATED["truth/oracle/formulas.py"]
    where = engine(tmp_path, {**NEGATED, "truth/oracle/formulas.py": (place, formula.replace("-out", "out"))})
    with pytest.raises(AssertionError, match="negated got"):
        lossproof(where, "run", *ASKED)


# A format of 19 bits: its entry, its name in the protocol, and an adapter that computes in it.
NINETEEN = {
    "core/formats.py": (
        "(FLOAT64, FLOAT32, BFLOAT16, FLOAT16",
        ', Format("float19", 11, -126, 127, bits=19, accumulator=FLOAT32)',
    ),
    "adapters/protocol.py": ('"bfloat16", "float16"', ', "float19"'),
}
ADAPTER = """
from dataclasses import replace
from lossproof.adapters import numpy
from lossproof.adapters.protocol import OUTPUTS, Tensor
from lossproof.core.formats import FORMATS

class Nineteen(numpy.NumpyAdapter):
    name = "nineteen"

    def capabilities(self):
        return replace(super().capabilities(), dtypes=("float19",))

    def evaluate(self, problem, device, mode):
        wide = super().evaluate(replace(problem, dtype="float32", out_dtype=None), device, mode)
        kinds = {name: problem.dtype_of(name) for name in wide}
        return {name: Tensor(FORMATS[kinds[name]].round(t.data), kinds[name]) for name, t in wide.items()}

ADAPTER = Nineteen()
"""


def test_a_format_is_an_entry_and_an_adapter(tmp_path: Path) -> None:
    where = engine(tmp_path, NINETEEN)
    (tmp_path / "nineteen.py").write_text(ADAPTER, encoding="utf-8")
    ops = ("softmax", "cross_entropy")
    asked = ("--op", ops[0], "--op", ops[1], "--dtype", "float19", "--family", "confident", "--family", "offset")
    lossproof(where, "run", "nineteen.py:ADAPTER", *asked, "--in-process", "--record", "record.jsonl")
    record = Path(where, "record.jsonl").read_text(encoding="utf-8")
    found = [line for line in map(json.loads, record.splitlines()) if "verdict" in line]
    for op in ops:
        verdicts = [line["verdict"] for line in found if line["id"].startswith(f"{op}/")]
        assert verdicts.count("pass") > 20
        assert set(verdicts) <= {"pass", "convention"}
