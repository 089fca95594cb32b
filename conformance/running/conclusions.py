"""Conclusions of a run: verdicts on conventions and grades of modes, which take the answers to all of its calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from lossproof.core.call import Call
from lossproof.core.observation import Observation
from lossproof.records.conditions import Subject
from lossproof.running.convention_ledger import Ledger
from lossproof.running.mode_agreement import Agreement


class Declaring(Subject, Protocol):
    """A target, running or recorded, whose adapter declares conventions."""

    @property
    def conventions(self) -> Mapping[tuple[str, str, str], str]:
        """The conventions that the adapter declares, by clause, op and output."""
        ...


class Conclusions:
    """A ledger of conventions for each implementation, and the comparison of its modes and devices.

    Groups are added in any order, but all targets' observations of one group before those of the next one.
    """

    def __init__(self, targets: Sequence[Declaring]) -> None:
        self._ledgers = {t.implementation: Ledger(t.implementation, t.conventions) for t in targets}
        self._agreement = Agreement(targets)

    def add(self, target: Declaring, calls: Iterable[Call], found: Sequence[Observation]) -> None:
        """Take note of what a target's answers to a group of calls showed."""
        ledger, by_id = self._ledgers[target.implementation], {c.id: c for c in calls}
        for o in found:
            ledger.add(by_id[o.id], o)
        self._agreement.add(target, found)

    def verdicts(self) -> Iterator[Observation]:
        """One observation for each clause, op and output of an implementation, then the grades of its modes."""
        for ledger in self._ledgers.values():
            yield from ledger.verdicts()
        yield from self._agreement.grades()
