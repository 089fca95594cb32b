"""What a target that compiles is not given: every view says how much, why, and what asks it; the full deck does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import lossproof
from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import Capabilities
from lossproof.cases.catalogue import select
from lossproof.cli.main import cli
from lossproof.core.call import Call
from lossproof.core.command_line import ASKED_BY
from lossproof.records.record import read_record
from lossproof.running.withheld import withheld_text
from lossproof.targets import selection
from lossproof.targets.target import Target
from tests.support.decks import whole
from tests.support.thinned import WHOLE


class _Compiling(NumpyAdapter):
    """NumPy, as if each new signature cost something."""

    def __init__(self, name: str, cost: str) -> None:
        super().__init__()
        self._name, self._cost = name, cost

    @property
    def name(self) -> str:  # type: ignore[override]
        return self._name

    def capabilities(self) -> Capabilities:
        return replace(super().capabilities(), compile_cost=self._cost)


CHEAP, DEAR = _Compiling("compiled", "cheap"), _Compiling("dearly-compiled", "dear")
PART = ("--op", "softmax", "--dtype", "float32", "--family", "ordinary")


@pytest.fixture(autouse=True)
def _one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "PROCESSES", None)


def _withheld(cost: str) -> int:
    takes = {"cheap": ("core", "full"), "dear": ("core",)}[cost]
    calls = select(ops=["softmax"], dtypes=["float32"], families=["ordinary"])
    return sum(call.tier not in takes for call in calls)


def test_the_last_line_says_what_was_withheld_and_what_asks_it(tmp_path: Path) -> None:
    cheap, dear, path = f"{__file__}:CHEAP", f"{__file__}:DEAR", tmp_path / "r.jsonl"
    result = CliRunner().invoke(cli, ["run", cheap, dear, *PART, "--seed", "0", "--record", str(path), "-q"])
    assert result.exit_code == 0, result.output
    some, more = _withheld("cheap"), _withheld("dear")
    assert 0 < some < more
    (line,) = result.stdout.splitlines()
    counted = f"; withheld: {some} calls from {cheap}, {more} from {dear} (a new shape costs them a compilation); "
    assert line.endswith(f"{counted}lossproof run {cheap} {dear} --deck full {' '.join(PART)}")
    assert read_record(str(path)).header["withheld"] == {cheap: some, dear: more}
    asked = line.rpartition("lossproof ")[2].split()
    result = CliRunner().invoke(cli, [*asked, "-q"])
    assert result.exit_code == 0, result.output
    assert "withheld" not in result.stdout


def test_json_and_the_report_of_python_say_it_too() -> None:
    target = f"{__file__}:CHEAP"
    result = CliRunner().invoke(cli, ["run", target, *PART, "--json"])
    assert json.loads(result.stdout)["withheld"] == {target: _withheld("cheap")}
    report = lossproof.run(target, ops=["softmax"], dtypes=["float32"], families=["ordinary"])
    assert report.withheld.startswith(f"withheld: {_withheld('cheap')} calls from {target} (a new shape costs it")
    assert str(report).endswith(report.withheld)
    whole = lossproof.run(target, deck="full", ops=["softmax"], dtypes=["float32"], families=["ordinary"])
    assert whole.withheld == ""
    assert len(whole.observations) > len(report.observations)


def test_who_pays_nothing_is_given_everything() -> None:
    report = lossproof.run("numpy", ops=["softmax"], dtypes=["float32"], families=["ordinary"])
    assert report.withheld == ""


def _part(deck: str) -> list[Call]:
    return select(deck, ops=["softmax"], dtypes=["float32"])


def test_the_full_deck_is_the_default_deck_for_everyone() -> None:
    default, full = ([*whole()], [*whole("full")]) if WHOLE else (_part("default"), _part("full"))
    assert [c.id for c in full] == [c.id for c in default]
    for adapter in (CHEAP, DEAR):
        assert all(Target(adapter).takes(c.tier) for c in full)
        assert not all(Target(adapter).takes(c.tier) for c in default)


def test_of_a_function_the_deck_is_named_and_no_command() -> None:
    """A run of the command line has no target of its name."""
    text = withheld_text({"withheld": {"loss": 5}, ASKED_BY: "the deck full asks them"})
    assert text == "withheld: 5 calls from loss (a new shape costs it a compilation); the deck full asks them"
