"""Answers ahead of the judge: within their memory, in order; what goes wrong is heard where it is waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import Outcome, Problem, Tensor
from lossproof.cases.deck import deck_calls
from lossproof.cases.deck_part import DeckPart
from lossproof.cases.error_cases import error_checks
from lossproof.running import answers, loop
from lossproof.running.answers import Ahead, CallGroup, Room
from lossproof.running.loop import groups
from lossproof.running.slots import Slots
from lossproof.targets import lane
from lossproof.targets.launch import Launch, Processes
from lossproof.targets.player import Player
from lossproof.targets.process import Process
from lossproof.targets.selection import choose_targets, close
from lossproof.targets.target import Target

GROUPS = [CallGroup(tuple(g)) for g in groups(deck_calls("smoke", DeckPart(dtypes=["float32"])))]
PLACED = list(enumerate(GROUPS))


class Elsewhere:
    """A player that counts what it is asked, and fails or waits where it is told to."""

    name = "elsewhere"
    start_seconds = None
    restarts = 0

    def __init__(self, fail_at: int = -1, gate: threading.Event | None = None) -> None:
        self.asked = 0
        self.fail_at, self.gate = fail_at, gate
        self.interrupted = threading.Event()

    def describe(self) -> Any:
        return NumpyAdapter().describe()

    def capabilities(self) -> Any:
        return NumpyAdapter().capabilities()

    def evidence(self) -> dict[str, Any]:
        return {}

    def script(self, problem: Problem) -> str:
        return ""

    def processor_seconds(self) -> None: ...

    def close(self) -> None: ...

    def interrupt(self) -> None:
        self.interrupted.set()
        if self.gate:
            self.gate.set()

    def outcomes(
        self, problems: Sequence[Problem], *, isolate: bool, watch: bool, alone: str = ""
    ) -> Iterator[Outcome]:
        self.asked += 1
        if self.asked == self.fail_at:
            raise RuntimeError("out of order")
        if self.gate:
            self.gate.wait(900)
        for p in problems:
            yield Outcome({"value": Tensor(np.zeros(p.x.shape), p.dtype)})


def settled(player: Elsewhere) -> int:
    """How many groups were asked when nothing more happens."""
    before = -1
    while before != player.asked:
        before = player.asked
        time.sleep(0.1)
    return player.asked


def test_answers_wait_within_the_memory_that_they_have() -> None:
    player = Elsewhere()
    assert isinstance(player, Player)
    ahead = Ahead(Target(player), PLACED, room=Room(3 * answers._SMALL, 1))
    # sanity check: there is more to ask for than may wait
    assert len(GROUPS) > 10
    assert settled(player) <= 4
    for n, group in enumerate(GROUPS, 1):
        assert len(ahead.take(group).outcomes) == len(group.calls)
        assert player.asked <= n + 4
    ahead.close()
    assert player.asked == len(GROUPS)
    assert not player.interrupted.is_set()


def test_targets_share_the_memory_for_answers_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are: each may be ahead by its part."""
    monkeypatch.setattr(loop, "MOST_WAITING", 12 * answers._SMALL)
    players = [Elsewhere() for _ in range(4)]
    calls = [call for group in GROUPS for call in group.calls]
    seen = loop.played([Target(p, place=f"{i}.py:A") for i, p in enumerate(players)], calls, jobs=4)
    # sanity check: there is more to ask for than may wait
    assert len(GROUPS) > 10
    next(seen)
    assert max(settled(p) for p in players) <= 1 + 3 + 1
    seen.close()  # type: ignore[attr-defined]


def test_answers_that_fill_the_memory_keep_others_from_asking_on() -> None:
    """They are asked when the judge waits for them, and it never waits in vain."""
    players = [Elsewhere() for _ in range(3)]
    room = Room(3 * answers._SMALL // 2, 3)
    feeds = [Ahead(Target(p), PLACED, Slots(3), room) for p in players]
    # Every one may ask a first time, and all of these together are more than there is room for.
    assert [settled(p) for p in players] == [1, 1, 1]
    feeds[0].take(GROUPS[0])
    assert [settled(p) for p in players] == [1, 1, 1]
    feeds[0].take(GROUPS[1])
    assert [settled(p) for p in players] == [2, 1, 1]
    for feed in feeds[1:]:
        feed.take(GROUPS[0])
        feed.take(GROUPS[1])
    for group in GROUPS[2:]:
        for feed in feeds:
            feed.take(group)
    for feed in feeds:
        feed.close()
    assert [p.asked for p in players] == [len(GROUPS)] * 3


def test_an_exception_while_asking_ahead_reaches_the_judge() -> None:
    ahead = Ahead(Target(Elsewhere(fail_at=2)), PLACED)
    ahead.take(GROUPS[0])
    with pytest.raises(RuntimeError, match="out of order"):
        ahead.take(GROUPS[1])
    ahead.close()


class Last(Elsewhere):
    """A player that notes what is isolated, and what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[object] = []

    def isolate_from_here(self) -> None:
        self.heard.append("from here")

    def outcomes(
        self, problems: Sequence[Problem], *, isolate: bool, watch: bool, alone: str = ""
    ) -> Iterator[Outcome]:
        self.heard.append(isolate)
        return super().outcomes(problems, isolate=isolate, watch=watch, alone=alone)


CHECKS = [CallGroup((check,)) for check in error_checks(DeckPart(ops=["cross_entropy"], dtypes=["float32"]))]


def heard(several: Sequence[CallGroup]) -> list[object]:
    """What a player hears while its answers are taken in the order of the run: each is that of its group."""
    player = Last()
    ahead = Ahead(Target(player), list(enumerate(several)), room=Room(2 * answers._SMALL, 1))
    for group in several:
        hearing = ahead.take(group).hearing
        assert hearing is None or hearing.calls[0].problem is group.calls[0].problem
    ahead.close()
    return player.heard


def test_what_may_crash_is_asked_last_and_taken_in_its_place() -> None:
    found = heard([*GROUPS[:3], *CHECKS])
    at = found.index("from here")
    # sanity check: some of what may crash came before others
    assert sorted(g.isolate for g in CHECKS) != [g.isolate for g in CHECKS]
    assert found[:at].count(False) == at > 3
    assert found[at + 1 :].count(True) == len(found) - at - 1 > 10


def test_what_may_be_large_is_not_put_forward() -> None:
    """Its answers would wait for the judge."""
    found = heard([*CHECKS, *GROUPS[:3]])
    assert "from here" not in found
    assert found == [*(g.isolate for g in CHECKS), *[False] * 3]


def test_nobody_is_told_of_isolated_calls_that_there_are_not() -> None:
    assert heard(GROUPS[:3]) == [False] * 3


def test_a_target_needs_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Process] = []

    def counted(launch: Launch, limits: Processes) -> Process:
        started.append(Process(launch, limits))
        return started[-1]

    monkeypatch.setattr(lane, "Process", counted)
    calls = [call for group in [*GROUPS[:3], *CHECKS] for call in group.calls]
    targets = choose_targets(["numpy"], Processes())
    try:
        found = list(loop.run(targets, calls))
        assert [t.player.restarts for t in targets if t.player is not None] == [0]
    finally:
        close(targets)
    assert len(started) == 1
    assert {o.verdict for o in found} <= {"pass", "convention"}


def test_closing_interrupts_what_is_under_way() -> None:
    player = Elsewhere(gate=threading.Event())
    ahead = Ahead(Target(player), PLACED)
    while not player.asked:
        time.sleep(0.01)
    ahead.close()
    assert player.interrupted.is_set()
    assert player.asked == 1


def test_no_more_targets_at_once_than_there_are_slots() -> None:
    gate = threading.Event()
    players = [Elsewhere(gate=gate) for _ in range(3)]
    slots = Slots(1)
    feeds = [Ahead(Target(p), PLACED[:3], slots) for p in players]
    while not any(p.asked for p in players):
        time.sleep(0.01)
    # Time for a second one, if anybody let it.
    time.sleep(0.2)
    assert sum(p.asked for p in players) == 1
    gate.set()
    for group in GROUPS[:3]:
        for one in feeds:
            one.take(group)
    for one in feeds:
        one.close()


def test_targets_take_turns_through_the_deck() -> None:
    """Nobody is asked the next group while another one has not been asked this one."""
    turns: list[tuple[str, int]] = []

    class Noting(Elsewhere):
        def outcomes(
            self, problems: Sequence[Problem], *, isolate: bool, watch: bool, alone: str = ""
        ) -> Iterator[Outcome]:
            turns.append((self.name, self.asked))
            return super().outcomes(problems, isolate=isolate, watch=watch, alone=alone)

    gate, players = threading.Event(), [Noting() for _ in range(9)]
    first = Elsewhere(gate=gate)
    slots = Slots(1)
    holding = Ahead(Target(first), PLACED[:1], slots)
    while not first.asked:
        time.sleep(0.01)
    for number, p in enumerate(players):
        p.name = str(number)
    feeds = [Ahead(Target(p), PLACED[:5], slots) for p in players]
    while slots.waiting < len(players):
        time.sleep(0.01)
    gate.set()
    for group in GROUPS[:5]:
        for one in feeds:
            one.take(group)
    for one in [holding, *feeds]:
        one.close()
    assert [asked for _, asked in turns] == sorted(asked for _, asked in turns)
    assert {name for name, asked in turns if asked == 0} == {p.name for p in players}


def test_who_is_behind_comes_first() -> None:
    """Whatever has waited longer: the judge needs the answers of the one that is behind before those of the others."""
    slots, order = Slots(1), list[int]()
    threads = []

    def wait(place: int) -> None:
        with slots.turn(place, lambda: False) as got:
            assert got
            order.append(place)

    with slots.turn(0, lambda: False):
        for place in (7, 3, 5, 3, 1):
            threads.append(threading.Thread(target=wait, args=(place,)))
            threads[-1].start()
        while slots.waiting < 5:
            time.sleep(0.01)
    for thread in threads:
        thread.join()
    assert order == [1, 3, 3, 5, 7]


def test_what_is_over_gets_no_turn() -> None:
    slots, over, got = Slots(1), threading.Event(), list[bool]()

    def wait() -> None:
        with slots.turn(1, over.is_set) as is_mine:
            got.append(is_mine)

    with slots.turn(0, lambda: False):
        thread = threading.Thread(target=wait)
        thread.start()
        while not slots.waiting:
            time.sleep(0.01)
        over.set()
        slots.wake()
        thread.join()
    assert got == [False]
    with slots.turn(0, lambda: False) as free:
        assert free
