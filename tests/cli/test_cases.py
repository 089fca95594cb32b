"""Cases of another project, without that project, and the coverage of a deck, as their commands tell them."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from lossproof.cases.coverage.cells import TABLES
from lossproof.cli.commands import cases
from tests.support.views import lossproof


def test_cases_without_answers_judge_a_target_and_are_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = SimpleNamespace(named={"one": "id"}, notes=lambda: ["1 case"], answers={}, calls=[])
    monkeypatch.setattr(cases, "peer_calls", lambda source: peer)
    listed, told = lossproof("cases", "opinfo", "--list"), lossproof("cases", "opinfo")
    assert (listed.exit_code, listed.stdout, told.exit_code, told.stdout) == (0, "one  id\n", 0, "1 case\n")
    assert "without answers; lossproof run TARGET --cases opinfo judges" in told.stderr


def test_the_coverage_of_a_deck_is_printed_as_tables_and_as_json() -> None:
    result = lossproof("deck", "coverage", "--deck", "smoke")
    assert result.exit_code == 0, result.output
    for title in TABLES.values():
        assert title in result.stdout
    assert "empty: axes: rank 8, axis 0: softmax in float64" in result.stdout
    result = lossproof("deck", "coverage", "numpy", "--deck", "smoke", "--op", "softmax", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["target"] == "numpy"
    assert found["tables"]["axes"]["rank 2, axis 1"]["softmax"]["float32"] > 10
    assert found["empty"]
    assert {entry["reason"] for entry in found["not_asked_for"]}


def test_coverage_of_a_target_that_is_not_there_is_a_usage_error() -> None:
    result = lossproof("deck", "coverage", "nobody", "--deck", "smoke")
    assert result.exit_code == 2
    assert "unknown target" in result.stderr
