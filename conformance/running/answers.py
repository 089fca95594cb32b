"""Answers of one target to the groups of a run, in order: asked for one by one, or ahead of the judge in a thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from lossproof.adapters.protocol import Outcome
from lossproof.core.call import Call
from lossproof.judging.check import Check, Exact, Hearing, play
from lossproof.running.slots import Slots
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


@dataclass(frozen=True)
class GroupAnswers:
    """The answers of a target to a group, and its ``hearing`` if the group is a check."""

    outcomes: tuple[Outcome, ...]
    hearing: Hearing | None = None

    @property
    def size(self) -> int:
        """Bytes, roughly."""
        return _SMALL + sum(t.data.nbytes for o in self.outcomes for t in o.outputs.values())


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
    return GroupAnswers(tuple(target.play([c.problem for c in group.calls], alone=first.alone)))


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


class Ahead:
    """Asks in a thread of its own while there is ``room`` for answers, and while it holds one of the ``slots``.

    Groups come with their places in the run, by which targets take turns.
    """

    def __init__(
        self,
        target: Target,
        groups: Sequence[tuple[int, CallGroup]],
        slots: Slots | None = None,
        room: Room | None = None,
    ) -> None:
        self._target, self._groups = target, groups
        self._slots, self._room = slots or Slots(1), room or Room(MOST_WAITING, 1)
        self._ready: deque[tuple[CallGroup, GroupAnswers | BaseException]] = deque()
        self._waiting, self._asking, self._wanted, self._stopped = 0, False, False, False
        self._changed = self._room.changed
        self._thread = threading.Thread(target=self._run, name=target.name, daemon=True)
        self._thread.start()

    def take(self, group: CallGroup) -> GroupAnswers:
        """Wait for the thread's answers to a group; an exception of the thread is raised here."""
        with self._changed:
            self._wanted = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._ready)
            self._wanted = False
            found, answers = self._ready.popleft()
            if isinstance(answers, BaseException):
                raise answers
            self._waiting -= answers.size
            self._room.take(-answers.size)
        # sanity check: both sides go through the same groups
        assert found is group
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
        for place, group in self._groups:
            with self._slots.turn(place, lambda: self._stopped) as is_mine:
                with self._changed:
                    self._asking = is_mine and not self._stopped
                if not self._asking:
                    return
                try:
                    answers: GroupAnswers | BaseException = ask_group(self._target, group)
                except BaseException as error:  # it belongs to whoever waits for the answers
                    answers = error
            with self._changed:
                self._asking = False
                self._ready.append((group, answers))
                if isinstance(answers, BaseException):
                    self._changed.notify_all()
                    return
                self._waiting += answers.size
                self._room.take(answers.size)
                self._changed.wait_for(self._may_ask)
                if self._stopped:
                    return

    def _may_ask(self) -> bool:
        return self._stopped or self._room.is_left(self._waiting) or (self._wanted and not self._ready)
