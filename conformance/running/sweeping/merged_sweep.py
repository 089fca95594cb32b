"""Shards of one sweep become the record that the whole sweep would have written, but for the times: the chunks go back
into their order, each from the shard that played it."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lossproof import __version__
from lossproof.cases.sweeps.chunks import Chunk, Part, chunk_of, outputs_of
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.records.record import Record
from lossproof.records.recorded_targets import recorded_targets
from lossproof.records.waivers import Book
from lossproof.running.merge import ShardBooks, check_end, merged_header, told_ends
from lossproof.running.session import Session
from lossproof.running.session_options import Rules
from lossproof.running.sweeping.sweep_session import CHUNKS_VERSION, session_over
from lossproof.running.timing import Clock
from lossproof.targets.target import Target


class _Chunks:
    """The observations of one shard, chunk by chunk. A search keeps the calls of passes, too."""

    def __init__(self, record: Record) -> None:
        self.record, self.count = record, 0
        self._rest = record.with_every_call()
        self._head = next(self._rest, None)

    def of(self, chunk: Chunk) -> list[Observation]:
        """What is observed of the next chunk. Raises :class:`UsageError` where there is nothing of it."""
        found = []
        while self._head is not None and chunk_of(self._head.case) == chunk:
            found.append(self._head)
            self._head = next(self._rest, None)
        if not found:
            raise UsageError(f"{self.record.path} has nothing of {chunk}; finish it with --resume, or sweep it again")
        self.count += len(found)
        return found

    def finish(self) -> None:
        """Nothing may be left, and the sweep must have come to its end. Raises :class:`UsageError` otherwise."""
        if self._head is not None:
            raise UsageError(f"cannot merge {self.record.path}: it does not follow its sweep at {self._head.id}")
        check_end(self.record, self.count)


@dataclass
class MergedSweep:
    """A source: the observations of the whole sweep, in the order of its ``chunks``, from the records of its
    ``shards``, all of them and in order."""

    shards: Sequence[Record]
    chunks: Sequence[Chunk]
    targets: Sequence[Target] = ()
    clock: Clock = field(default_factory=Clock)
    seconds: float = 0.0
    lost: Mapping[str, str] = field(default_factory=dict)
    _books: ShardBooks = field(default_factory=ShardBooks)

    def book_in_force(self, book: Book) -> Book:
        """The book of the shard that the last observation is from; they count together."""
        return self._books.in_force(book)

    def observations(self) -> Generator[Observation]:
        """Every observation, chunk by chunk. Raises :class:`UsageError` for a shard that is not whole."""
        streams = [_Chunks(record) for record in self.shards]
        for number, chunk in enumerate(self.chunks):
            # As parts are divided: see Part.chunks.
            stream = streams[number % len(streams)]
            several = stream.of(chunk)
            self._books.current = stream.record
            yield from several
        self._books.current = None
        for stream in streams:
            stream.finish()
        self.seconds += told_ends(self.shards, self.clock)

    def close(self) -> None:
        """Nothing runs."""


def merged_sweep(shards: Sequence[Record], rules: Rules, command: Sequence[str]) -> Session:
    """The session over the shards of a sweep, all of them and in order.

    Raises :class:`UsageError` where their chunks are not those of today.
    """
    first = shards[0]
    part = _whole(first)
    chunks = part.chunks()
    header = merged_header(shards, {"calls": len(chunks)}, command)
    several = recorded_targets(first)
    source = MergedSweep(shards, chunks)
    outputs = len(several) * sum(outputs_of(chunks))
    return session_over(source, several, rules.book(several), header, strict=rules.strict, outputs=outputs)


def _whole(record: Record) -> Part:
    """The sweep that a shard is a part of."""
    header: Mapping[str, Any] = record.header
    try:
        sweep, filters, version = header["sweep"], header["filters"], header["deck"]["version"]
        ops, dtypes = (tuple(filters.get(name, ())) for name in ("op", "dtype"))
        part = Part(kind=sweep["kind"], ops=ops, dtypes=dtypes, first=sweep["first"], last=sweep["last"])
    except (KeyError, TypeError, AttributeError):
        raise UsageError(f"{record.path} is not a lossproof record; its header does not describe its sweep") from None
    if version != CHUNKS_VERSION or header.get("suite") != __version__:
        raise UsageError(
            f"{record.path} was made by lossproof {header.get('suite')} with other chunks; merge its shards with that"
        )
    part.check()
    return part
