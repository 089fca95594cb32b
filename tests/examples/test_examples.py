"""Each program of ``examples/`` prints what docs/kernels.md shows."""

from __future__ import annotations

import re

import pytest

from tests.examples.kernels_page import COMMAND, NEEDS, PAGE, ROOT, missing, printed, shown

# The last digits of an answer depend on the processor, and so does how far off it is and what the smallest input is
# that shows it.
_ANSWER = re.compile(r"\bgot \S+|\S+x the bound|(?<=on the smallest input: ).*")


def lines(text: str) -> list[str]:
    """The lines of an output, but for a program."""
    kept, is_program = [], False
    for line in text.splitlines():
        is_program = line == "  as a program:" or (is_program and (not line or line.startswith("    ")))
        kept += [] if is_program else [_ANSWER.sub("...", line)]
    return kept


def test_every_example_is_shown() -> None:
    assert {p.stem for p in (ROOT / "examples").glob("*.py")} == set(NEEDS)


@pytest.mark.parametrize("name", NEEDS)
def test_an_example_prints_what_the_page_shows(name: str) -> None:
    if missing(name):
        pytest.skip(f"needs {missing(name)}")
    assert lines(printed(name)) == lines(shown(name, PAGE.read_text(encoding="utf-8"))), f"if it is meant: {COMMAND}"


@pytest.mark.parametrize("name", NEEDS)
def test_a_verdict_takes_at_most_five_lines(name: str) -> None:
    text = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")
    block = text[text.index("\nASKED") + 1 :].rstrip()
    assert f"{block}\n```" in PAGE.read_text(encoding="utf-8")
    beside = [line for line in block.splitlines() if line]
    # The import is one of them.
    assert len(beside) + 1 <= 5
