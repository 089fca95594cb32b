"""The session of a sweep: chunks in place of a deck, played one after another or by workers; for the rest it is as any
other, with the same records, waivers and views."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from lossproof import __version__
from lossproof.cases.shard import UNDIVIDED, Shard
from lossproof.cases.sweeps.chunks import KINDS, Chunk, Part, outputs_of
from lossproof.core.observation import Observation
from lossproof.records.conditions import Subject
from lossproof.records.waivers import Book
from lossproof.running.header import evidence
from lossproof.running.session import Session, Source
from lossproof.running.session_options import Execution, Rules
from lossproof.running.sweeping.chunk_play import ChunkPlayer
from lossproof.running.sweeping.scheduled import Scheduled
from lossproof.running.sweeping.sweep_workers import Workers
from lossproof.running.sweeping.swept_before import SweptBefore
from lossproof.running.timing import Clock
from lossproof.targets import selection
from lossproof.targets.target import Target

# The version of what chunks hold: the same number of another one may hold other calls.
CHUNKS_VERSION = 1


@dataclass(frozen=True)
class PartOfSweep:
    """A part of a sweep, where other sessions have a deck: waivers speak of other calls, and ids alone find its own."""

    is_complete: bool = False
    shard: Shard = UNDIVIDED
    place: Mapping[str, object] = field(default_factory=dict)


@dataclass
class Swept:
    """A source of observations: the chunks of a sweep, in order. What was recorded ``before`` is taken from there.

    No chunk is begun after so many ``seconds`` (0: all are); ``unbegun`` is the number of those. With ``workers`` above
    1 so many processes play them, each with targets of its own; of a ``scheduler`` those that it has do.
    """

    targets: Sequence[Target]
    chunks: Sequence[Chunk]
    rules: Rules
    execution: Execution
    workers: int = 1
    budget: float = 0.0
    scheduler: str = ""
    before: SweptBefore | None = None
    clock: Clock = field(default_factory=Clock)
    lost: dict[str, str] = field(default_factory=dict)
    unbegun: int = 0
    _start: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """The seconds that it took, so far."""
        return time.perf_counter() - self._start

    def observations(self) -> Generator[Observation]:
        """Every observation, chunk by chunk."""
        done = len(self.before.sizes) if self.before else 0
        for several in self.before.chunks() if self.before else ():
            yield from several
        try:
            left = self.chunks[done:]
            elsewhere = bool(self.scheduler) or self.workers > 1
            with closing(self._elsewhere(left) if elsewhere else self._here(left)) as played:
                for several in played:
                    yield from several
        finally:
            self.clock.close(self.targets)

    def _begun(self, chunks: Sequence[Chunk]) -> Iterator[Chunk]:
        """The chunks that are begun while there is time."""
        for i, chunk in enumerate(chunks):
            if self.budget and self.seconds >= self.budget:
                self.unbegun = len(chunks) - i
                return
            yield chunk

    def _here(self, chunks: Sequence[Chunk]) -> Generator[list[Observation]]:
        player = ChunkPlayer(self.targets, self.rules.book(self.targets), self.execution.jobs, self.clock, self.lost)
        for chunk in self._begun(chunks):
            yield player.play(chunk)

    def _elsewhere(self, chunks: Sequence[Chunk]) -> Generator[list[Observation]]:
        names, number = [t.name for t in self.targets], min(self.workers, len(chunks))
        shared = (self.execution, self.rules, self.clock, self.lost)
        workers = Scheduled(self.scheduler, names, *shared) if self.scheduler else Workers(names, number, *shared)
        with closing(workers):
            yield from workers.play(self._begun(chunks))

    def book_in_force(self, book: Book) -> Book:
        """The session's book."""
        return book

    def close(self) -> None:
        """End the processes of the targets."""
        selection.close(self.targets)


def opened_sweep(
    names: Sequence[str],
    part: Part,
    *,
    execution: Execution | None = None,
    rules: Rules | None = None,
    workers: int = 1,
    seconds: float = 0.0,
    scheduler: str = "",
    tell: Callable[[str], None] = lambda stage: None,
) -> Session:
    """The session of some targets (every installed one if there are no names) and a part of a sweep.

    Close it when it is over. ``tell`` hears what is being done. Raises :class:`UsageError` for options that make no
    sense.
    """
    execution, rules = execution or Execution(), rules or Rules()
    part.check()
    selection.target_names(names)
    tell(f"lossproof {__version__}: starting {', '.join(names) or 'every installed target'}")
    targets = selection.choose_targets(names, execution.processes)
    try:
        chunks = part.chunks()
        inputs = sum(chunk.inputs for chunk in chunks)
        tell(f"{len(chunks)} chunks of {part.kind}, {inputs} inputs, for {', '.join(t.name for t in targets)}")
        book, header = rules.book(targets), sweep_header(targets, part)
    except BaseException:
        selection.close(targets)
        raise
    source = Swept(targets, chunks, rules, execution, workers, seconds, scheduler)
    return session_over(
        source, targets, book, header, strict=rules.strict, outputs=len(targets) * sum(outputs_of(chunks))
    )


def session_over(
    source: Source,
    targets: Sequence[Subject],
    book: Book,
    header: Mapping[str, Any],
    *,
    strict: bool,
    outputs: int = 0,
) -> Session:
    """The session over a source of observations whose calls are in no deck; ``outputs`` is how many it will yield, 0
    where nobody knows."""
    return Session(
        subjects=targets,
        calls=(),
        deck=PartOfSweep(),
        book=book,
        source=source,
        strict=strict,
        header=header,
        outputs=outputs,
        explored=True,
    )


def sweep_header(targets: Sequence[Target], part: Part) -> Mapping[str, Any]:
    """The first line of the record of a sweep."""
    kind = KINDS[part.kind]
    header = chunks_header(targets, kind.name, kind.says, calls=len(part.chunks()))
    filters = {"op": list(part.ops), "dtype": list(part.dtypes)}
    shard = {} if part.shard == UNDIVIDED else {"shard": f"{part.shard.index}/{part.shard.of}"}
    return header | {
        "filters": {name: given for name, given in filters.items() if given},
        "sweep": {"kind": kind.name, "first": part.first, "last": part.last, **shard},
    }


def chunks_header(targets: Sequence[Target], kind: str, says: str, *, seed: int = 0, calls: int = 0) -> dict[str, Any]:
    """The first line of a record of chunks, whose calls are made again from their ids or travel with it."""
    about = {
        "version": CHUNKS_VERSION,
        "digest": hashlib.sha256(f"{CHUNKS_VERSION}/{kind}/{says}".encode()).hexdigest(),
        "size": kind,
        "seed": seed,
        "calls": calls,
    }
    return {
        "suite": __version__,
        "deck": about,
        "filters": {},
        "sweep": {"kind": kind, "first": 0, "last": None},
        **evidence(targets),
    }
