"""README.md keeps its word: its blocks do what it says, its test command is the one that CI runs, its table is that of
the adapters."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.pages import ROOT, blocks, play
from tools import implementations

README = (ROOT / "README.md").read_text(encoding="utf-8")
# Up to the first kind of block that takes an environment of its own.
UPGRADE, REST = README.partition("**A kernel.**")[::2]


def test_every_block_is_one_that_is_tested() -> None:
    """The first and the last are commands of set-up: .ci/run has the last one, a clone the first."""
    assert [b.language for b in blocks(README)] == ["sh", "console", "python", "console", "console", "sh"]


def test_commands_print_what_it_says(tmp_path: Path) -> None:
    played = list(play(REST, tmp_path))
    assert len(played) == 2
    for command in played:
        assert command.is_as_written, f"README.md: {command}"


@pytest.mark.manual
def test_the_upgrade_prints_what_it_says(tmp_path: Path) -> None:
    (command,) = play(UPGRADE, tmp_path)
    assert command.is_as_written, f"README.md: {command}"


@pytest.mark.manual
def test_the_set_up_works_in_a_clone(tmp_path: Path) -> None:
    """The first block, by someone who has nothing: a new clone, no caches, no settings."""
    if not (ROOT / ".git").exists():
        pytest.skip("no repository to clone: these are the sources of a release")
    set_up = blocks(README)[0].text
    assert set_up.startswith("python3.11 -m venv .venv && . .venv/bin/activate\n")
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(tmp_path / "clone")], check=True)
    (tmp_path / "home").mkdir()
    (tmp_path / "bin").mkdir()
    # This Python, whatever it is called.
    (tmp_path / "bin" / "python3.11").symlink_to(os.path.realpath(sys.executable))
    ours = {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path / "home")}
    others = {k: v for k, v in os.environ.items() if not k.startswith(("LOSSPROOF_", "PYTHON", "VIRTUAL_ENV", "XDG_"))}
    done = subprocess.run(
        ["bash", "-e", "-c", set_up],
        cwd=tmp_path / "clone",
        env=others | ours,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert done.stdout.splitlines()[-1].startswith("OK (numpy: ")


def test_ci_runs_the_command_of_the_readme() -> None:
    command = "tox run-parallel --parallel auto --parallel-no-spinner"
    assert f"python -m pip install tox && {command}\n" in README
    assert re.search(rf"^{re.escape(command)} ", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.M)


def test_the_tables_are_those_of_the_adapters() -> None:
    # sanity check: the table has adapters
    assert len(list(implementations.declared())) >= 10
    assert implementations.renewed(README) == README, f"renew it with {implementations.COMMAND}"


def test_a_new_adapter_is_in_the_table(tmp_path: Path) -> None:
    (tmp_path / "adapters" / "javascript").mkdir(parents=True)
    programs = ("tfjs", "onnxruntime_node", "onnxruntime_web")
    for name in programs:
        (tmp_path / "adapters" / "javascript" / f"{name}.mjs").write_text("// A program. More.\n", encoding="utf-8")
    (tmp_path / "adapters" / "new.py").write_text('"""New: its ``loss`` | more\nof it. Rest.\n"""\n', encoding="utf-8")
    project = '[project]\n[project.optional-dependencies]\nnew = []\n[project.entry-points."lossproof.adapters"]\n'
    (tmp_path / "pyproject.toml").write_text(project + 'new = "lossproof.adapters.new:ADAPTER"\n', encoding="utf-8")
    told = [
        "| `new` | New: its `loss` \\| more of it | `.[new]` |",
        *(f"| `{name}` | A program |  |" for name in programs),
    ]
    head = ["| target | what is judged | comes with |", "|---|---|---|"]
    board = tmp_path / "docs" / "board" / "board.json"
    board.parent.mkdir(parents=True)
    standings = {"new": "conforms", "tfjs": "deviates"}
    board.write_text(json.dumps({"implementations": [{"name": n, "standing": s} for n, s in standings.items()]}))
    assert implementations.tables(tmp_path).splitlines() == [*head, *told]
    standings |= {"tfjs": "nonconforming", "new+mode": "nonconforming"}
    board.write_text(json.dumps({"implementations": [{"name": n, "standing": s} for n, s in standings.items()]}))
    supported, said, apart, modes = implementations.tables(tmp_path).split("\n\n")
    assert supported.splitlines() == [*head, *(row for row in told if "tfjs" not in row)]
    assert "nonconforming" in said
    assert apart.splitlines() == [*head, *(row for row in told if "tfjs" in row)]
    assert modes == "So are these modes and devices of the others: `new+mode`.\n"


def test_it_is_short() -> None:
    """A screen and a half of text, without the rows of its tables: what is long belongs into the manual."""
    lines = [line for line in README.splitlines() if line and not line.startswith("|")]
    assert len(lines) <= 80, f"README.md has {len(lines)} lines"
    assert all(len(line) <= 160 for line in lines)
