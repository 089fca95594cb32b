"""The loop puts calls to targets and judges their answers: (targets, calls) -> observations."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

from lossproof.core.batch import signature
from lossproof.core.call import Call
from lossproof.core.observation import Observation
from lossproof.running.answers import MOST_WAITING, Ahead, CallGroup, Direct, Feed, GroupAnswers, Room
from lossproof.running.conclusions import Conclusions
from lossproof.running.group_judge import judged
from lossproof.running.judgement_cache import JudgementCache
from lossproof.running.resume import Resumed
from lossproof.running.slots import Slots
from lossproof.running.timing import Clock
from lossproof.targets.launch import cores
from lossproof.targets.lost import TargetLostError
from lossproof.targets.target import Target

_MAX_STACK_ELEMENTS = 1 << 18


def groups(calls: Iterable[Call]) -> Iterator[list[Call]]:
    """Neighbouring calls of one signature and tier, in stacks small enough for memory; checks one by one."""
    for members in _alike(calls):
        step = max(1, _MAX_STACK_ELEMENTS // max(1, members[0].outline.x.size))
        for start in range(0, len(members), step):
            yield members[start : start + step]


def _alike(calls: Iterable[Call]) -> Iterator[list[Call]]:
    for _, run in itertools.groupby(calls, key=lambda c: c.id if c.is_check else signature(c.outline)):
        tiers: dict[str, list[Call]] = {}
        for call in run:
            tiers.setdefault(call.tier, []).append(call)
        yield from tiers.values()


@dataclass(frozen=True)
class Unit:
    """One target and one group."""

    target: Target
    group: CallGroup

    @property
    def name(self) -> str:
        """The target's name."""
        return self.target.name

    @property
    def ids(self) -> frozenset[str]:
        """The ids of the calls."""
        return frozenset(c.id for c in self.group.calls)


def stacked(calls: Iterable[Call]) -> list[CallGroup]:
    """The groups of a run."""
    return [CallGroup(tuple(group)) for group in groups(calls)]


def schedule(targets: Sequence[Target], several: Iterable[CallGroup]) -> list[Unit]:
    """Return which target is asked which group, in the order of the observations."""
    return [Unit(target, group) for group in several for target in targets if target.takes(group.tier)]


def run(
    targets: Sequence[Target],
    calls: Iterable[Call],
    clock: Clock | None = None,
    *,
    jobs: int = 0,
    tape: Resumed | None = None,
    lost: dict[str, str] | None = None,
    cache: JudgementCache | None = None,
) -> Iterator[Observation]:
    """Put every call to every target, judge the answers against one truth, and conclude.

    Targets in processes of their own are asked side by side, ``jobs`` at once (0: one for each core), ahead of the
    judge. The order of the observations is that of the calls, whoever answers first; what is said of all of them
    together comes last. What a ``tape`` has is taken from there. Targets that give no answers any more are asked no
    more: why is kept in ``lost``, by their names. What a ``cache`` has of the same answers is not judged again.
    """
    conclusions = Conclusions(targets)
    for unit, found in played(targets, calls, clock, jobs=jobs, tape=tape, lost=lost, cache=cache):
        conclusions.add(unit.target, unit.group.calls, found)
        yield from found
    yield from conclusions.verdicts()


def played(
    targets: Sequence[Target],
    calls: Iterable[Call],
    clock: Clock | None = None,
    *,
    jobs: int = 0,
    tape: Resumed | None = None,
    lost: dict[str, str] | None = None,
    cache: JudgementCache | None = None,
) -> Iterator[tuple[Unit, list[Observation]]]:
    """Yield what :func:`run` observes of each target and group, without its conclusions."""
    clock, lost = clock if clock is not None else Clock(), lost if lost is not None else {}
    several = stacked(calls)
    units, done = schedule(targets, several), len(tape.sizes) if tape else 0
    yield from zip(units, tape.units() if tape else (), strict=False)
    with ExitStack() as stack:
        slots, room = Slots(jobs or cores()), Room(MOST_WAITING, len(targets))
        feeds = {t.name: stack.enter_context(closing(_feed(t, units[done:], slots, room))) for t in targets}
        for group, same in itertools.groupby(units[done:], key=lambda unit: unit.group):
            yield from _group(group, [unit for unit in same if unit.name not in lost], feeds, clock, lost, cache)


def _feed(target: Target, units: Sequence[Unit], slots: Slots, room: Room) -> Feed:
    if target.player is None:
        return Direct(target)
    return Ahead(
        target, [(place, unit.group) for place, unit in enumerate(units) if unit.target is target], slots, room
    )


def _group(
    group: CallGroup,
    units: Sequence[Unit],
    feeds: Mapping[str, Feed],
    clock: Clock,
    lost: dict[str, str],
    cache: JudgementCache | None,
) -> Iterator[tuple[Unit, list[Observation]]]:
    """One group on every target that is given it."""
    heard: list[Unit] = []
    several: list[GroupAnswers] = []
    for unit in units:
        start, began = time.perf_counter(), time.thread_time()
        try:
            answers = feeds[unit.name].take(group)
        except TargetLostError as error:
            lost[unit.name] = str(error)
            continue
        clock.waiting += time.perf_counter() - start
        if unit.target.player is None:
            # It was asked in this thread.
            clock.processor[unit.name] = clock.processor.get(unit.name, 0.0) + time.thread_time() - began
        clock.add(unit.name, answers.hearing.calls if answers.hearing else group.calls, answers.outcomes)
        heard.append(unit)
        several.append(answers)
    yield from zip(heard, judged(group, [unit.target for unit in heard], several, clock, cache), strict=True)
