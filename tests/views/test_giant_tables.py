"""The table of giant calls: every call has its row, and failures are told in red and in words."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from lossproof.core.observation import Observation
from lossproof.records.waivers import Book
from lossproof.running.session import Ended
from lossproof.running.summary import Summary
from lossproof.views.giant_tables import GiantTables

# Verdicts of giant calls with the shares that are shown: none of what has not answered.
SHOWN = (("pass", "0.25"), ("fail", "2"), ("crash", ""))


@pytest.mark.parametrize("quiet", [False, True])
def test_giant_calls_are_listed_and_their_failures_told(quiet: bool, capsys: pytest.CaptureFixture[str]) -> None:
    id = "cross_entropy/float32/giant-growth/n17-k4-mean/00000001"
    good = Observation(id, "value", "numpy", "pass", share=0.25, rows=17, classes=4, conventions={"memory": "O(N)"})
    bad = replace(good, verdict="fail", share=2.0, message="[too] far")
    lost = replace(good, verdict="crash", share=2.0, message="gone")
    tables = GiantTables(quiet)
    for o in (good, bad, lost):
        tables.add(o)
    tables.close(Ended({}, Summary(), Book([], []), (), {"seconds": 1.0}))
    said = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in said if "17 x 4" in line]
    shown = [["numpy", "growth", "cross_entropy", "float32", "17 x 4", "value", v, s, "", "O(N)"] for v, s in SHOWN]
    assert rows == ([] if quiet else shown)
    assert [line for line in said if line.startswith("  numpy: ")] == ["  numpy: [too] far", "  numpy: gone"]


def test_verdicts_that_fail_are_red(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("FORCE_COLOR", "1"), ("TERM", "xterm"), ("NO_COLOR", "")):
        monkeypatch.setenv(name, value)
    good = Observation("softmax/float32/giant-rows/n17-k4/00000001", "value", "numpy", "pass", rows=17, classes=4)
    tables = GiantTables(False, [good, replace(good, verdict="timeout")])
    tables.close(Ended({}, Summary(), Book([], []), (), {"seconds": 1.0}))
    assert re.findall(r"\x1b\[1;31m(\w+)", capsys.readouterr().out) == ["timeout"]
