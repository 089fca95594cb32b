"""Answers of one target to the groups of a run, in order: asked for one by one, or ahead of the judge in a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from lossproof.adapters.protocol import Outcome, Problem
from lossproof.core.call import Call
from lossproof.judging.check import Check, Exact, Hearing, play
from lossproof.running.slots import Slots
from lossproof.targets.player import LastPlayer
from lossproof.targets.target import Target

# Bytes of answers that may wait for the judge.
MOST_WAITING = 1 << 23
_SMALL = 1 << 12


@dataclass(frozen=True, eq=False)
class CallGroup:
    """Neighbouring calls of one signature, or one check. Equal only to itself."""

    calls: tuple[Call, ...]

    @property
    def tier(self) -> str:
        """The tier of all its calls."""
        return self.calls[0].tier

    @property
    def isolate(self) -> bool:
        """Say whether it may crash a process."""
        return self.calls[0].isolate


@dataclass(frozen=True)
class GroupAnswers:
    """The answers of a target to a group, and its ``hearing`` if the group is a check.

    ``asked`` are the problems of the group: large ones, which the judge wants next, are not drawn again while they are
    held here.
    """

    outcomes: tuple[Outcome, ...]
    hearing: Hearing | None = None
    asked: tuple[Problem, ...] = ()

    @property
    def size(self) -> int:
        """Bytes, roughly."""
        return _SMALL + sum(t.data.nbytes for o in self.outcomes for t in o.outputs.values())


Placed: TypeAlias = tuple[int, CallGroup]


class Feed(Protocol):
    """A feed gives the loop the answers of one target, group by group."""

    def take(self, group: CallGroup) -> GroupAnswers:
        """The answers to a group. Groups are taken in the order of the run."""
        ...

    def close(self) -> None:
        """Stop asking: the loop wants no more answers."""
        ...


def ask_group(target: Target, group: CallGroup) -> GroupAnswers:
    """Put a group to a target."""
    first = group.calls[0]
    if isinstance(first, Check):
        hearing = play(first, target, Exact())
        return GroupAnswers(hearing.outcomes, hearing)
    problems = tuple(c.problem for c in group.calls)
    return GroupAnswers(tuple(target.play(problems, alone=first.alone)), asked=problems)


class Direct:
    """Asks when the answers are wanted."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def take(self, group: CallGroup) -> GroupAnswers:
        """Ask now."""
        return ask_group(self._target, group)

    def close(self) -> None:
        """Nothing is under way."""


class Room:
    """The room for answers that wait for the judge, shared by the targets of a run: ``most`` bytes.

    Each may have an equal part of it. The answers to one large group may be more than all of it: while it is full only
    those ask on for whose answers the judge waits.
    """

    def __init__(self, most: int, targets: int) -> None:
        self.changed = threading.Condition()
        self._most, self._part, self._taken = most, most // max(1, targets), 0

    def take(self, size: int) -> None:
        """Take so many bytes; negative ones give them back. Whoever calls holds ``changed``."""
        self._taken += size
        self.changed.notify_all()

    def is_left(self, mine: int) -> bool:
        """Say whether somebody whose answers take ``mine`` bytes may have more."""
        return mine < self._part and self._taken < self._most


def isolated_last(several: Sequence[Placed]) -> tuple[list[Placed], list[Placed]]:
    """Split groups into those that are asked first, and those that may crash a process: in this order the process of
    the others does for them, and no second one has to import a framework.

    Checks alone are put off or moved forward, whose answers are small and may wait. Where anything else comes after the
    first one that may crash, all keep their places.
    """
    first = next((i for i, (_, group) in enumerate(several) if group.isolate), len(several))
    rest = several[first:]
    if not all(group.calls[0].is_check for _, group in rest):
        return [*several], []
    return [*several[:first], *(p for p in rest if not p[1].isolate)], [p for p in rest if p[1].isolate]


class Ahead:
    """Asks in a thread of its own while there is ``room`` for answers, and while it holds one of the ``slots``.

    Groups come with their places in the run, by which targets take turns. Those that may crash a process are asked last
    (:func:`isolated_last`), but for the judge, who takes them in the order of the run.
    """

    def __init__(
        self,
        target: Target,
        groups: Sequence[Placed],
        slots: Slots | None = None,
        room: Room | None = None,
    ) -> None:
        self._target, self._groups = target, groups
        self._slots, self._room = slots or Slots(1), room or Room(MOST_WAITING, 1)
        self._ready: dict[CallGroup, GroupAnswers] = {}
        self._wanted: CallGroup | None = None
        self._error: BaseException | None = None
        self._waiting, self._asking, self._stopped = 0, False, False
        self._changed = self._room.changed
        self._thread = threading.Thread(target=self._run, name=target.name, daemon=True)
        self._thread.start()

    def take(self, group: CallGroup) -> GroupAnswers:
        """Wait for the thread's answers to a group; an exception of the thread is raised here."""
        with self._changed:
            self._wanted = group
            self._changed.notify_all()
            self._changed.wait_for(lambda: group in self._ready or self._error)
            self._wanted = None
            if group not in self._ready:
                # sanity check: it ends for one of the two
                assert self._error is not None
                raise self._error
            answers = self._ready.pop(group)
            self._waiting -= answers.size
            self._room.take(-answers.size)
        return answers

    def close(self) -> None:
        """Stop asking; a call that is under way ends with its process."""
        with self._changed:
            self._stopped = True
            is_asking = self._asking
            self._changed.notify_all()
        self._slots.wake()
        if is_asking and self._target.player is not None:
            self._target.player.interrupt()
        self._thread.join()

    def _run(self) -> None:
        first, isolated = isolated_last(self._groups)
        player: object = self._target.player
        if self._asked(first) and isolated:
            if isinstance(player, LastPlayer):
                player.isolate_from_here()
            self._asked(isolated)

    def _asked(self, several: Iterable[Placed]) -> bool:
        """Ask groups; say whether others may be asked after them."""
        for place, group in several:
            with self._slots.turn(place, lambda: self._stopped) as is_mine:
                with self._changed:
                    self._asking = is_mine and not self._stopped
                if not self._asking:
                    return False
                answers: GroupAnswers | None = None
                try:
                    answers = ask_group(self._target, group)
                except BaseException as error:  # it belongs to whoever waits for the answers
                    self._error = error
            with self._changed:
                self._asking = False
                if answers is None:
                    self._changed.notify_all()
                    return False
                self._ready[group] = answers
                self._waiting += answers.size
                self._room.take(answers.size)
                self._changed.wait_for(self._may_ask)
                if self._stopped:
                    return False
        return True

    def _may_ask(self) -> bool:
        is_missed = self._wanted is not None and self._wanted not in self._ready
        return self._stopped or self._room.is_left(self._waiting) or is_missed
