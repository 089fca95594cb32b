"""The session behind every front door: targets are chosen, a deck is taken and played, its observations are marked with
waivers and counted, and whoever writes or shows them hears of each.

The command line (run, judge, merge, upgrade), pytest and ``check_implementation`` differ in where observations come
from (a :class:`Source`) and in who hears of them (:class:`Sink`), and in nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from lossproof import __version__
from lossproof.cases.known_calls import Memory
from lossproof.cases.shard import UNDIVIDED, Shard
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.judging.fused import compiler
from lossproof.records.conditions import Subject
from lossproof.records.waivers import Book, fails
from lossproof.running import judgement_cache
from lossproof.running.header import record_header
from lossproof.running.judgement_cache import JudgementCache
from lossproof.running.loop import run, schedule, stacked
from lossproof.running.resume import Resumed
from lossproof.running.session_options import DeckOptions, Execution, Rules
from lossproof.running.summary import Summary
from lossproof.running.timed_kernels import timed
from lossproof.running.timing import Clock
from lossproof.targets import selection
from lossproof.targets.launch import Processes
from lossproof.targets.target import Target


class Source(Protocol):
    """A source gives a session its observations, in the order of the run and without their marks."""

    @property
    def targets(self) -> Sequence[Target]:
        """The targets that run; none where a record is about them."""
        ...

    @property
    def clock(self) -> Clock:
        """The clock that says where the time went; complete when the observations are through."""
        ...

    @property
    def seconds(self) -> float:
        """The seconds that it took, so far."""
        ...

    @property
    def lost(self) -> Mapping[str, str]:
        """Why targets were asked no more, by their names."""
        ...

    def observations(self) -> Generator[Observation]:
        """Every observation of the deck, and then the conclusions from all of them."""
        ...

    def book_in_force(self, book: Book) -> Book:
        """The session's book, with the targets that made the last observation where they are not the session's."""
        ...

    def close(self) -> None:
        """End the targets that run."""
        ...


@dataclass(frozen=True)
class Ended:
    """A session that is over.

    ``targets`` are those that still run (none where a record is about them), ``header`` is that of its record, and
    ``reasons`` say why it fails. ``facts`` are what a record has at its end; None if the session was interrupted, or
    ``stopped`` because enough had failed.
    """

    header: Mapping[str, Any]
    summary: Summary
    book: Book
    reasons: Sequence[str]
    facts: Mapping[str, Any] | None
    targets: Sequence[Target] = ()
    clock: Clock = field(default_factory=Clock)
    complete: bool = False
    stopped: bool = False


class Sink(Protocol):
    """Somebody who hears of every observation, and of the end."""

    def add(self, o: Observation) -> None:
        """Hear of one observation."""
        ...

    def close(self, run: Ended) -> None:
        """Hear that the session is over. Raises :class:`UsageError` where something cannot be written then."""
        ...


class Deck(Protocol):
    """A deck, as a session sees it: what is put to the targets."""

    @property
    def is_complete(self) -> bool:
        """Say whether everything is put that can be: a waiver that matches nothing then is stale."""
        ...

    @property
    def shard(self) -> Shard:
        """The part of it that this session plays."""
        ...

    @property
    def place(self) -> Mapping[str, object]:
        """The options of ``lossproof repro`` that find a case of it again."""
        ...


@dataclass(frozen=True, kw_only=True)
class Session:
    """A session says what is put to whom, where the observations come from, and what is known beforehand.

    ``subjects`` are the targets, running or recorded, ``calls`` those of the ``deck``, ``book`` the waivers in
    force. Where calls are made while they are put there are none, and ``outputs`` is what is expected of them; with
    ``explored`` waivers speak of them as they do of calls that exploration draws.
    ``shortfalls`` are reasons to fail that no observation has, such as answers that are missing; a deck with any
    of them is not complete. After ``most_failures`` outputs that fail it stops (0: never).
    """

    subjects: Sequence[Subject]
    calls: Sequence[Call]
    deck: Deck
    book: Book
    source: Source
    outputs: int | None = None
    explored: bool = False
    strict: bool = False
    header: Mapping[str, Any] = field(default_factory=dict)
    shortfalls: Sequence[str] = ()
    most_failures: int = 0

    @property
    def is_complete(self) -> bool:
        """Say whether everything that can be asked is asked: a waiver that matches nothing then is stale."""
        return self.deck.is_complete and not self.shortfalls and not self.source.lost

    @property
    def expected(self) -> int:
        """The most outputs that will be judged, without the conclusions: one exception may answer those of a check."""
        if self.outputs is not None:
            return self.outputs
        groups = stacked(self.calls)
        if self.source.targets:
            return sum(len(c.outputs) for unit in schedule(self.source.targets, groups) for c in unit.group.calls)
        return len(self.subjects) * sum(len(c.outputs) for group in groups for c in group.calls)

    def mark(self, raw: Observation) -> Observation:
        """An observation with the name of the waiver that speaks of it.

        Raises :class:`UsageError` if a record has it marked with another one.
        """
        plain, partial = replace(raw, waiver="") if raw.waiver else raw, not self.is_complete
        o = self.source.book_in_force(self.book).mark(plain, explored=self.explored, partial=partial)
        if raw.waiver and raw.waiver != o.waiver:
            raise UsageError(f"the record has a waiver {raw.waiver!r} on {o.id}; give this command the same --waivers")
        return o

    def play(self, *sinks: Sink) -> Ended:
        """Play the session to its end: every sink hears of every observation, and then, in order, of the end.

        An interrupt (KeyboardInterrupt) ends it early: it is neither complete nor has facts.
        """
        source, summary, interrupted, failed = self.source, Summary(), False, 0
        with closing(source.observations()) as observations:
            try:
                for raw in observations:
                    with source.clock.phase("record"):
                        o = self.mark(raw)
                        summary.add(o)
                        for sink in sinks:
                            sink.add(o)
                        failed += fails(o)
                    if self.most_failures and failed >= self.most_failures:
                        break
            except KeyboardInterrupt:
                interrupted = True
        stopped = bool(self.most_failures) and failed >= self.most_failures and not interrupted
        cut = interrupted or stopped
        complete = self.is_complete and not cut
        facts = {"seconds": source.seconds, "clock": source.clock.facts(), "verdicts": dict(summary.total)}
        lost = [f"{name} was lost: {why}" for name, why in source.lost.items()]
        reasons = [*self.shortfalls, *lost, *summary.reasons(self.book, strict=self.strict, complete=complete)]
        # One shard of several may have nothing for a target; the merged record tells.
        if stopped:
            reasons.append(f"stopped at the limit of {self.most_failures} failure{'s' * (self.most_failures > 1)}")
        if self.deck.shard == UNDIVIDED and not cut:
            reasons += [f"nothing was judged of {name}" for name in summary.idle(t.name for t in self.subjects)]
        told = None if cut else facts
        ended = Ended(self.header, summary, self.book, reasons, told, source.targets, source.clock, complete, stopped)
        for sink in sinks:
            sink.close(ended)
        return ended

    def close(self) -> None:
        """End the targets that run."""
        self.source.close()


@dataclass
class Live:
    """A source: the calls are put to targets that run, now. What a ``tape`` has is taken from there, and what a
    ``cache`` has of the same answers is not judged again. The ``kernels`` of ops in dtypes are timed in the end."""

    targets: Sequence[Target]
    calls: Sequence[Call]
    jobs: int = 0
    tape: Resumed | None = None
    clock: Clock = field(default_factory=Clock)
    lost: dict[str, str] = field(default_factory=dict)
    cache: JudgementCache | None = None
    kernels: Sequence[tuple[str, str]] = ()
    _start: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """The seconds that it took, so far."""
        return time.perf_counter() - self._start

    def observations(self) -> Generator[Observation]:
        """Every observation, and then the conclusions from all of them."""
        try:
            yield from run(
                self.targets,
                self.calls,
                self.clock,
                jobs=self.jobs,
                tape=self.tape,
                lost=self.lost,
                cache=self.cache,
            )
            if self.kernels and not (self.tape and self.tape.done):
                self.clock.kernels = timed((t for t in self.targets if t.name not in self.lost), self.kernels)
        finally:
            self.clock.close(self.targets)
            if self.cache is not None:
                self.clock.cached, self.clock.checked = self.cache.taken, self.cache.again
                self.clock.known = self.cache.known
                self.cache.flush()

    def book_in_force(self, book: Book) -> Book:
        """The session's book."""
        return book

    def close(self) -> None:
        """End the processes of the targets, and let go of the cache."""
        selection.close(self.targets)
        if self.cache is not None:
            self.cache.close()


def opened(
    names: Sequence[str],
    *,
    deck: DeckOptions,
    execution: Execution | None = None,
    rules: Rules | None = None,
    tell: Callable[[str], None] = lambda stage: None,
) -> Session:
    """The session of some targets (every installed one if there are no names) and a deck; targets are started.

    Close it when it is over. ``tell`` hears what is being done, once it is clear that the names mean something. Raises
    :class:`UsageError` for options that make no sense.
    """
    execution, rules = execution or Execution(), rules or Rules()
    deck.check()
    selection.target_names(names)
    started = ", ".join(names) or "every installed target"
    drawn = f"the cases of {deck.cases} are read" if deck.cases else f"the {deck.size} deck is drawn"
    tell(f"lossproof {__version__}: starting {started}; {drawn}")
    clock, cache = Clock(), judgement_cache.on_this_machine(wanted=execution.cache)
    calls, targets = _drawn_and_started(names, deck, execution.processes, clock, cache)
    if cache is not None and cache.trouble:
        tell(cache.trouble)
    tell(f"{len(calls)} calls for {', '.join(t.name for t in targets)}")
    if compiler.is_still_to_compile():
        tell("the judge is compiled first, once for this version: some twenty seconds")
    try:
        book, head = rules.book(targets, calls), record_header(targets, calls, deck)
    except BaseException:
        selection.close(targets)
        raise
    kernels = deck.kernels if execution.times_kernels else ()
    source = Live(targets, calls, execution.jobs, clock=clock, cache=cache, kernels=kernels)
    return Session(
        subjects=targets,
        calls=calls,
        deck=deck,
        book=book,
        source=source,
        explored=bool(deck.cases),
        strict=rules.strict,
        header=head,
    )


def _drawn_and_started(
    names: Sequence[str], deck: DeckOptions, processes: Processes | None, clock: Clock, memory: Memory | None
) -> tuple[list[Call], list[Target]]:
    """The calls and the targets: processes start while the deck is drawn."""
    if processes is None:
        with clock.phase("deck"):
            calls = deck.calls(memory)
        return calls, selection.choose_targets(names)
    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(selection.choose_targets, names, processes)
        try:
            with clock.phase("deck"):
                calls = deck.calls(memory)
        except BaseException:
            if started.exception() is None:
                selection.close(started.result())
            raise
        return calls, started.result()
