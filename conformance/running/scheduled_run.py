"""A run whose targets are judged by the workers of a cluster, one task a target, with the record of any other run.

Each worker draws the deck, starts its target, and judges it by itself. What is said of several targets is said here,
where no target is started: what a record says of each is what a worker says.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from lossproof import __version__
from lossproof.core.call import Call
from lossproof.core.case_id import CONVENTION
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.records.waivers import Book
from lossproof.running.cluster import connected, pinned
from lossproof.running.conclusions import Conclusions
from lossproof.running.header import record_header
from lossproof.running.loop import schedule, stacked
from lossproof.running.session import Session, opened
from lossproof.running.session_options import DeckOptions, Execution, Rules
from lossproof.running.timing import Clock
from lossproof.targets import selection
from lossproof.targets.distant import Introduction, introduced
from lossproof.targets.target import Target

_RETRIES = 1


@dataclass(frozen=True)
class TargetResult:
    """A result of a target is what a worker sends: observations in the order of the deck, the facts of its clock, and
    why it was asked no more, if it was."""

    observations: list[Observation]
    clock: Mapping[str, Any]
    lost: Mapping[str, str]


@dataclass
class ScheduledRun:
    """A source: the calls of a ``deck`` are put to targets by the workers of a ``client``'s scheduler."""

    client: Any
    targets: Sequence[Target]
    calls: Sequence[Call]
    deck: DeckOptions
    execution: Execution
    clock: Clock = field(default_factory=Clock)
    lost: dict[str, str] = field(default_factory=dict)
    _start: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """The seconds that it took, so far."""
        return time.perf_counter() - self._start

    def observations(self) -> Generator[Observation]:
        """Every observation in the order of a run, and then the conclusions from all of them. Raises
        :class:`UsageError` where a target does not start, and for a worker with another lossproof."""
        rest = self._answered()
        conclusions = Conclusions(self.targets)
        for unit in schedule(self.targets, stacked(self.calls)):
            found = _next(rest[unit.name], unit.ids)
            conclusions.add(unit.target, unit.group.calls, found)
            yield from found
        for name, left in rest.items():
            if left:
                raise UsageError(f"the worker of {name} has judged another deck, with {left[0].id}; update the cluster")
        yield from conclusions.verdicts()

    def _answered(self) -> dict[str, deque[Observation]]:
        """What the workers found, by target."""
        client: Any = self.client
        names = [t.name for t in self.targets]
        asked = (self.deck, self.execution, __version__)
        tasks = [
            client.submit(judged_anywhere, name, *asked, pure=False, retries=_RETRIES, resources=pinned(client, [name]))
            for name in names
        ]
        start = time.perf_counter()
        found = {name: deque(self._result(name, task)) for name, task in zip(names, tasks, strict=True)}
        self.clock.waiting += time.perf_counter() - start
        return found

    def _result(self, name: str, task: Any) -> list[Observation]:
        try:
            result = task.result()
        except UsageError:
            raise
        except Exception as error:  # whatever a machine elsewhere may raise costs its target
            self.lost[name] = f"no worker judged it to its end: {error}"
            return []
        # sanity check: that is what was asked for
        assert isinstance(result, TargetResult)
        self.clock.more(result.clock)
        self.lost.update(result.lost)
        return result.observations

    def book_in_force(self, book: Book) -> Book:
        """The session's book."""
        return book

    def close(self) -> None:
        """Let go of the scheduler."""
        self.client.close()


def _next(rest: deque[Observation], ids: Collection[str]) -> list[Observation]:
    """Take what is observed of the calls with some ids: all that comes next and is of one of them."""
    found = []
    while rest and rest[0].id in ids:
        found.append(rest.popleft())
    return found


def introduced_anywhere(name: str, execution: Execution, version: str) -> tuple[Introduction, ...]:
    """Introduce the targets of a name (every installed one if it is empty) in the process that this is. Raises
    :class:`UsageError` where one does not start, and where lossproof is another version."""
    _check_version(version)
    return introduced([name] if name else [], execution.processes)


def _check_version(version: str) -> None:
    if version != __version__:
        raise UsageError(f"a worker has lossproof {__version__}, expected {version}; update the cluster")


def judged_anywhere(name: str, deck: DeckOptions, execution: Execution, version: str) -> TargetResult:
    """Judge a target in the process that this is. Raises :class:`UsageError` where lossproof is another version."""
    _check_version(version)
    with closing(opened([name], deck=deck, execution=execution)) as session:
        source = session.source
        # What is said of a whole implementation needs its other modes, too.
        found = [o for o in source.observations() if o.case.family != CONVENTION]
        return TargetResult(found, source.clock.facts(), dict(source.lost))


def opened_scheduled(
    address: str,
    names: Sequence[str],
    *,
    deck: DeckOptions,
    execution: Execution,
    rules: Rules,
    tell: Callable[[str], None] = lambda stage: None,
) -> Session:
    """The session of some targets (every one that a worker has if there are no names), which the workers of the
    scheduler at an address judge. Nothing is started here.

    Close it when it is over. Raises :class:`UsageError` for options that make no sense, where nobody answers at the
    address, and where a target does not start.
    """
    deck.check()
    selection.target_names(names)
    tell(f"lossproof {__version__}: workers at {address} start {', '.join(names) or 'what they have'}")
    client = connected(address)
    try:
        tasks = [
            client.submit(
                introduced_anywhere,
                name,
                execution,
                __version__,
                pure=False,
                retries=_RETRIES,
                resources=pinned(client, [name] if name not in ("", "all") else []),
            )
            for name in dict.fromkeys(names) or [""]
        ]
        clock = Clock()
        with clock.phase("deck"):
            calls = deck.calls()
        several = {one.name: one.target() for task in tasks for one in _introductions(task)}
        targets = list(several.values())
        tell(f"{len(calls)} calls for {', '.join(several)}")
        source = ScheduledRun(client, targets, calls, deck, execution, clock)
        return Session(
            subjects=targets,
            calls=calls,
            deck=deck,
            book=rules.book(targets, calls),
            source=source,
            strict=rules.strict,
            header=record_header(targets, calls, deck),
        )
    except BaseException:
        client.close()
        raise


def _introductions(task: Any) -> tuple[Introduction, ...]:
    try:
        found: tuple[Introduction, ...] = task.result()
    except UsageError:
        raise
    except Exception as error:  # whatever a machine elsewhere may raise
        raise UsageError(f"no worker says what its targets are: {error}") from error
    return found
