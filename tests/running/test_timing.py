"""Where the time went: calls, the first of each signature, compilations, starts; and how it is said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import Outcome, Problem
from lossproof.cases.deck import deck_calls
from lossproof.cases.deck_part import DeckPart
from lossproof.running.timing import Clock
from lossproof.targets.target import Target
from lossproof.views.terminal import _time


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
    said = [str(line) for line in _time(clock, {})]
    assert said[1] == "  a: calls 6.8 s, of which 6.0 s in the first of each signature, 3.5 s in 3 compilations"
    assert said[2] == "  b: calls 1.0 s, of which 1.0 s in the first of each signature"
    assert set(clock.facts()) >= {"targets", "first", "compiling", "programs", "starts", "oracle", "judge", "waiting"}
