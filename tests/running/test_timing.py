"""Where the time went: calls, the first of each signature, compilations, starts; and how it is said."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import Outcome, Problem
from lossproof.cases.deck import deck_calls
from lossproof.cases.deck_part import DeckPart
from lossproof.running.session import opened
from lossproof.running.session_options import DeckOptions, Execution
from lossproof.running.timing import Clock
from lossproof.targets import selection
from lossproof.targets.launch import Processes
from lossproof.targets.process import processor_seconds
from lossproof.targets.target import Target
from lossproof.views.time_table import time_rows


class Started(NumpyAdapter):
    """A player that says what its processes have taken."""

    start_seconds = 1.5
    restarts = 2

    def evidence(self) -> dict[str, Any]:
        return {}

    def outcomes(
        self, problems: Sequence[Problem], *, isolate: bool, watch: bool, alone: str = ""
    ) -> Iterator[Outcome]:
        yield from ()

    def processor_seconds(self) -> float:
        return 2.5

    def interrupt(self) -> None: ...

    def close(self) -> None: ...


def test_seconds_are_counted_where_they_were_spent() -> None:
    deck = deck_calls("smoke", DeckPart(ops=["softmax"], families=["golden", "ordinary"]))
    one, two, other = deck[:3]
    # sanity check: two calls of one signature and one of another
    assert one.problem.x.shape == two.problem.x.shape != other.problem.x.shape
    clock = Clock()
    compiled = Outcome(seconds=4.0, programs=3, compile_seconds=3.5)
    clock.add("a", [one, two], [compiled, Outcome(seconds=0.25)])
    clock.add("a", [two, other], [Outcome(seconds=0.5), Outcome(seconds=2.0)])
    clock.add("b", [one], [Outcome(seconds=1.0)])
    assert clock.targets == {"a": 6.75, "b": 1.0}
    assert clock.first == {"a": 6.0, "b": 1.0}
    assert (clock.compiling, clock.programs) == ({"a": 3.5}, {"a": 3})
    clock.close([Target(NumpyAdapter()), Target(Started())])
    assert (clock.starts, clock.restarts) == ({"numpy": 1.5}, {"numpy": 2})
    assert clock.processor == {"numpy": 2.5}
    rows = list(time_rows(clock, {"b": "b.py"}))
    assert rows[0] == ("a", "6.8", "", "calls 6.8, the first of each signature 6.0, 3 compilations 3.5")
    assert rows[1] == ("b.py", "1.0", "", "calls 1.0, the first of each signature 1.0")
    assert [row[0] for row in rows[2:]] == ["deck", "oracle", "judge", "record", "asking", "waiting"]
    assert set(clock.facts()) >= {"targets", "first", "compiling", "programs", "starts", "oracle", "judge", "waiting"}
    assert not any(name.startswith("_") for name in clock.facts())


def _burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_phases_have_wall_and_processor_seconds() -> None:
    """A phase that computes takes both, one that sleeps takes wall time alone, and threads count as asking."""
    clock = Clock()
    with clock.phase("judge"):
        _burn(0.03)
    with clock.phase("record"):
        time.sleep(0.03)
    with clock.phase("judge"):
        _burn(0.01)
    thread = threading.Thread(target=_burn, args=(0.05,))
    thread.start()
    thread.join()
    clock.close([])
    assert clock.judge >= 0.04
    assert clock.record >= 0.03
    assert clock.phases["judge"] >= 0.04
    assert clock.phases["record"] < 0.03
    assert clock.phases["asking"] >= 0.05
    clock.add("a", [], [])
    shown = {row[0]: row for row in time_rows(clock, {})}
    assert shown["judge"][1:3] == (f"{clock.judge:.1f}", f"{clock.phases['judge']:.1f}")


def test_clocks_add_up_and_have_parts() -> None:
    one, both = Clock(processor={"a": 1.0, "b": 2.0}, phases={"judge": 3.0}, judge=4.0, deck=1.0), Clock()
    both.more(one.facts())
    both.more(one.facts())
    assert (both.processor, both.phases, both.judge) == ({"a": 2.0, "b": 4.0}, {"judge": 6.0}, 8.0)
    part = one.part(["b"])
    assert (part["processor"], part["phases"], part["deck"]) == ({"b": 2.0}, {"judge": 3.0}, 1.0)
    # A record of before has no such seconds.
    both.more({"judge": 1.0})
    assert both.judge == 9.0


def test_processor_seconds_of_a_target_are_those_of_its_processes() -> None:
    target = selection.choose_targets(["numpy"], Processes())[0]
    try:
        assert target.player is not None
        started = target.player.processor_seconds()
        problem = Problem("softmax", "float64", np.zeros((1 << 20, 4)), cotangent=np.ones((1 << 20, 4)))
        assert not next(target.play([problem])).error
        asked = target.player.processor_seconds()
        assert started is not None
        assert asked is not None
        assert 0 < started < asked
    finally:
        selection.close([target])
    # What has ended counts.
    assert target.player.processor_seconds() == pytest.approx(asked, abs=1.0)
    assert processor_seconds(2**22 + 1) == 0.0


def test_a_run_says_how_much_of_its_deck_was_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The second one draws none of the large calls but those that are compared."""
    monkeypatch.setenv("LOSSPROOF_CACHE", str(tmp_path))
    monkeypatch.delenv("LOSSPROOF_NO_CACHE", raising=False)
    deck = DeckOptions(ops=["nll_loss"], dtypes=["float16"], families=["last_class"])
    remarks = []
    for _ in range(2):
        session = opened(["numpy"], deck=deck, execution=Execution(in_process=True))
        session.play()
        session.close()
        remarks.append({row[0]: row[3] for row in time_rows(session.source.clock, {})}["deck"])
    assert remarks[0] == ""
    assert re.fullmatch(r"[1-9][0-9]* large calls were known \(lossproof cache\)", remarks[1])
