"""README.md keeps its word: its example runs, its links lead somewhere, its test command is the one that CI runs."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


@pytest.mark.parametrize("program", blocks("python"))
def test_examples_run(program: str, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_toml_examples_parse() -> None:
    from lossproof.records.waivers import parse_waivers

    waivers = [text for text in blocks("toml") if "waiver" in tomllib.loads(text)]
    assert waivers, "README.md shows no waiver"
    for text in waivers:
        assert parse_waivers(text, source="README.md", adapter="torch")


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), f"README.md links to {target}"


def test_ci_runs_the_command_of_the_readme() -> None:
    command = "tox run-parallel --parallel auto --parallel-no-spinner"
    assert f"python -m pip install tox && {command}\n" in README
    assert re.search(rf"^{re.escape(command)} ", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.M)
