"""benchmarks/detection.py: its mutants are wrong one by one, its methods tell a wrong one from a right one."""

from __future__ import annotations

import pytest

from benchmarks import detection
from benchmarks.detection import METHODS
from benchmarks.mechanical_mutants import mechanical
from tests.support.pages import ROOT

ORIGINAL, *CHANGED = mechanical()
QUICK = ("allclose", "gradcheck", "samples as OpInfo's")


def changed(words: str) -> list[str]:
    return [m.name for m in CHANGED if words in m.name]


def test_each_change_is_one_of_the_text() -> None:
    assert ORIGINAL.kind == "control"
    assert len(CHANGED) > 30
    assert len({m.name for m in CHANGED}) == len(CHANGED)
    for words in ("Sub to Add", "Div to Mult", "max to min", "NotEq to Eq", "True to False", "exp to exp2"):
        assert changed(words), words


@pytest.mark.parametrize("name", QUICK)
def test_a_method_leaves_the_original_and_finds_changes(name: str) -> None:
    assert not METHODS[name](ORIGINAL)
    found = [m for m in CHANGED if METHODS[name](m)]
    assert len(found) > len(CHANGED) / 2


def test_a_wrong_value_is_no_matter_of_slopes() -> None:
    """A value and its gradient with the same mistake agree with each other."""
    log2 = next(m for m in CHANGED if "log to log2" in m.name)
    assert detection.allclose(log2)


def test_the_page_has_a_place_for_the_tables() -> None:
    text = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")
    assert text.count("<!-- detection -->") == text.count("<!-- end -->") == 1
    for name in METHODS:
        assert f"**{name}**" in text
