"""Shards of one run become the record that the whole run would have written, but for the times.

The observations go back into the order of the deck. What is said of conventions and of the bits of modes is said again,
of all shards together: a contradiction between two of them shows in neither.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lossproof.core.call import Call
from lossproof.core.case_id import CONVENTION
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.records.conditions import is_of_processor
from lossproof.records.record import Record
from lossproof.records.recorded_targets import recorded_targets
from lossproof.records.waivers import Book
from lossproof.running.conclusions import Conclusions
from lossproof.running.loop import groups
from lossproof.running.resume import SAME, difference
from lossproof.running.shard import Shard, divide
from lossproof.running.timing import Clock
from lossproof.targets.target import Target

# What may differ between the machines of the shards, and is kept of each.
_OWN = ("python", "numpy", "platform", "cpu", "environment", "command")


def in_order(records: Sequence[Record]) -> list[Record]:
    """The shards by number. Raises :class:`UsageError` unless they are all there, once each, whole, and of one run."""
    found: dict[int, Record] = {}
    first, parts = records[0], _number(records[0])[1]
    for record in records:
        index, of = _number(record)
        if index in found:
            raise UsageError(
                f"{record.path} and {found[index].path} are both shard {index}/{of}; leave one of them out"
            )
        pairs = [(name, _anywhere(first, name), _anywhere(record, name)) for name in SAME]
        for name, one, other in (("number of shards", parts, of), *pairs):
            apart = difference(one, other, name)
            if apart:
                raise UsageError(f"{first.path} and {record.path} are shards of two runs: {apart}")
        found[index] = record
    absent = [f"{i}/{parts}" for i in range(1, parts + 1) if i not in found]
    if absent:
        raise UsageError(f"shards {', '.join(absent)} are missing; run them, or give their records too")
    return [found[i] for i in range(1, parts + 1)]


def _anywhere(record: Record, name: str) -> Any:
    """A part of a header, without what processors differ in."""
    found = record.header.get(name)
    if name != "targets" or not isinstance(found, Mapping):
        return found
    return {target: _without(d, is_of_processor) for target, d in found.items()}


def _without(described: Any, left_out: Callable[[str], bool]) -> Any:
    """A description of a target without some of its facts."""
    if not isinstance(described, Mapping) or not isinstance(described.get("facts"), Mapping):
        return described
    return {**described, "facts": {k: v for k, v in described["facts"].items() if not left_out(k)}}


def _apart(shards: Sequence[Record]) -> list[dict[str, dict[str, str]]]:
    """Of each shard and target the facts that are not the same in all shards."""
    facts = [{t.name: t.facts for t in recorded_targets(r)} for r in shards]
    found: list[dict[str, dict[str, str]]] = [{} for _ in shards]
    for name in facts[0]:
        for key in dict.fromkeys(k for f in facts for k in f[name]):
            several = [f[name].get(key, "") for f in facts]
            if len(set(several)) > 1:
                for own, value in zip(found, several, strict=True):
                    own.setdefault(name, {})[key] = value
    return found


def _number(record: Record) -> tuple[int, int]:
    try:
        shard = record.header["shard"]
        found = Shard(int(shard["index"]), int(shard["of"]))
    except (KeyError, TypeError, ValueError):
        raise UsageError(f"{record.path} is no shard; expected records of lossproof run --shard I/N") from None
    return found.index, found.of


def merged_header(shards: Sequence[Record], command: Sequence[str]) -> dict[str, Any]:
    """The header of the whole: that of the first shard, and what is each shard's own."""
    left_out = ("lossproof", "format", "shard")
    own = [{**r.header["shard"], **{k: r.header[k] for k in _OWN if k in r.header}} for r in shards]
    kept = {k: v for k, v in shards[0].header.items() if k not in left_out}
    apart = _apart(shards)
    own = [{**one, **({"facts": facts} if facts else {})} for one, facts in zip(own, apart, strict=True)]
    # What the shards do not agree on is not known of the whole.
    described = {name: _without(d, apart[0].get(name, {}).__contains__) for name, d in kept["targets"].items()}
    return {**kept, "targets": described, "command": list(command), "shards": own}


class _Stream:
    """The observations of one shard, one of them in sight."""

    def __init__(self, record: Record) -> None:
        self.record, self.count = record, 0
        self._rest = iter(record)
        self.head = next(self._rest, None)

    def take(self) -> Observation:
        found = self.head
        # sanity check: asked only with one in sight
        assert found is not None
        self.count += 1
        self.head = next(self._rest, None)
        return found

    def finish(self) -> None:
        """Pass what the shard's own ledgers say; nothing else may be left."""
        while self.head is not None:
            if self.take().case.family != CONVENTION:
                raise UsageError(f"cannot merge {self.record.path}: it does not follow its deck")
        said = (self.record.end() or {}).get("observations")
        if said is None:
            raise UsageError(f"{self.record.path} is cut short; finish it with --resume, or run that shard again")
        if said != self.count:
            raise UsageError(
                f"{self.record.path} has {self.count} observations; expected the {said} that its end names"
            )


@dataclass
class Merged:
    """A source: the observations of the whole run, in its order, from the records of its ``shards``, all of them and in
    order. ``calls`` are the deck.

    Processors may differ: what a shard observed is marked by what its own targets had.
    """

    shards: Sequence[Record]
    calls: Sequence[Call]
    targets: Sequence[Target] = ()
    clock: Clock = field(default_factory=Clock)
    seconds: float = 0.0
    lost: Mapping[str, str] = field(default_factory=dict)
    _from: Record | None = None
    _books: dict[str, Book] = field(default_factory=dict)

    def book_in_force(self, book: Book) -> Book:
        """The book of the shard that the last observation is from, or of the whole run; they count together."""
        if self._from is None:
            return book
        name = str(self._from.path)
        if name not in self._books:
            self._books[name] = replace(book, targets=recorded_targets(self._from))
        return self._books[name]

    def observations(self) -> Generator[Observation]:
        """Every observation, and then the conclusions from all of them, which no shard could draw."""
        several = recorded_targets(self.shards[0])
        conclusions, streams = Conclusions(several), [_Stream(record) for record in self.shards]
        stacks = list(groups(self.calls))
        for stack, index in zip(stacks, divide(stacks, len(self.shards)), strict=True):
            ids, stream = {c.id for c in stack}, streams[index - 1]
            for target in several:
                found = []
                while stream.head is not None and stream.head.target == target.name and stream.head.id in ids:
                    found.append(stream.take())
                conclusions.add(target, stack, found)
                self._from = stream.record
                yield from found
        self._from = None
        for stream in streams:
            stream.finish()
        yield from conclusions.verdicts()
        for record in self.shards:
            end = record.end() or {}
            self.seconds += end.get("seconds", 0.0)
            self.clock.more(end.get("clock", {}))

    def close(self) -> None:
        """Nothing runs."""
