"""Blocks of the manual do what the pages say: programs run, commands print what is written below them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from lossproof.records.waivers import parse_waivers
from tests.support.pages import ROOT, blocks, matches
from tests.support.thinned import WHOLE

FUNCTIONS = blocks((ROOT / "docs" / "functions.md").read_text(encoding="utf-8"))
PROGRAMS = [block.text for block in FUNCTIONS if block.language == "python"]
# As they are written at night; with every change in one dtype, of a few calls.
_BOTH, _ONE = 'dtypes=("float64", "float32")', 'dtypes=("float32",), deck="smoke"'
PLAYED = PROGRAMS if WHOLE else [PROGRAMS[0].replace(_BOTH, _ONE), *PROGRAMS[1:]]


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", program], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("program", PLAYED, ids=["function", "targets"])
def test_programs_of_functions_run(program: str, tmp_path: Path) -> None:
    assert WHOLE or (program == PROGRAMS[1]) != (_ONE in program)
    done = run(program, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.manual
def test_without_the_maximum_it_fails_as_shown(tmp_path: Path) -> None:
    wrong = PROGRAMS[0].replace("np.exp(x - x.max(axis=axis, keepdims=True))", "np.exp(x)")
    assert wrong != PROGRAMS[0]
    done = run(wrong, tmp_path)
    (shown,) = [b.text for b in FUNCTIONS if b.text.startswith("AssertionError")]
    printed = done.stderr[done.stderr.index("AssertionError: ") :]
    assert matches(shown, printed), printed


def test_the_waiver_parses() -> None:
    page = blocks((ROOT / "docs" / "waivers.md").read_text(encoding="utf-8"))
    (text,) = [b.text for b in page if b.language == "toml"]
    assert tomllib.loads(text)
    assert parse_waivers(text, source="docs/waivers.md", adapter="torch")


def test_the_entry_point_is_that_of_the_adopter() -> None:
    page = blocks((ROOT / "docs" / "extending.md").read_text(encoding="utf-8"))
    (text,) = [b.text for b in page if b.language == "toml"]
    adopter = tomllib.loads((ROOT / "tests" / "adopter" / "pyproject.toml").read_text(encoding="utf-8"))
    assert tomllib.loads(text)["project"]["entry-points"] == adopter["project"]["entry-points"]


UPGRADE = (ROOT / "docs" / "upgrade.md").read_text(encoding="utf-8")
# The row of NumPy in its table: the sides, and how many outputs each of them has.
_ROW = re.compile(r"^\| `(numpy==\S+) (numpy==\S+)` \| [^|]*, (\d+ \d+) outputs on each side \|", re.M)


def row_of_numpy() -> tuple[str, str, int]:
    (row,) = _ROW.findall(UPGRADE)
    return row[0], row[1], int(row[2].replace(" ", ""))


def test_pages_say_how_many_outputs_the_deck_has() -> None:
    """The board of the day has judged the same deck, whose outputs do not depend on the processor."""
    several = json.loads((ROOT / "docs" / "board" / "board.json").read_text("utf-8"))["implementations"]
    (outputs,) = (r["outputs"] for r in several if r["name"] == "numpy" and r["deck"] == "default")
    assert row_of_numpy()[2] == outputs
    hour = (ROOT / "docs" / "first-hour.md").read_text("utf-8")
    assert f"{outputs:,} outputs".replace(",", " ") in hour


@pytest.mark.manual
def test_kept_records_of_an_upgrade_are_compared_and_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/upgrade.md: what ``--keep`` writes is what diff and report read, and NumPy's row of the table holds: all is
    within the bound. How many results differ in bits depends on the processor."""
    monkeypatch.setenv("LOSSPROOF_HOME", str(tmp_path / "home"))
    before, after, outputs = row_of_numpy()
    done = cli("upgrade", before, after, "--keep", "kept", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    same, other = re.findall(r"compared, (\d+) unchanged, (\d+) differ in bits\)$", last)[0]
    assert last.startswith(f"OK ({outputs} outputs compared, ")
    assert int(same) + int(other) == outputs
    records = ("kept/before.jsonl", "kept/after.jsonl")
    again = cli("diff", *records, folder=tmp_path)
    assert again.stdout.splitlines()[-1] == last
    page = cli("report", *records, "-o", "changes.html", "--no-programs", folder=tmp_path)
    assert page.returncode == 0, page.stderr
    assert (tmp_path / "changes.html").is_file()


def cli(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "lossproof", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
