"""Shards of one run become the record that the whole run would have written, but for the times.

The observations go back into the order of the deck. What is said of conventions and of the bits of modes is said again,
of all shards together: a contradiction between two of them shows in neither.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lossproof.cases.shard import Division, Shard, parse_shard
from lossproof.core.call import Call
from lossproof.core.case_id import CONVENTION
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.records.conditions import is_of_processor
from lossproof.records.record import Record
from lossproof.records.recorded_targets import Recorded, recorded_targets
from lossproof.records.waivers import Book
from lossproof.running.conclusions import Conclusions
from lossproof.running.loop import groups
from lossproof.running.resume import SAME, difference
from lossproof.running.timing import Clock
from lossproof.targets.target import Target

# Seconds that no run takes, and that a float still holds.
_LONGEST = 1e15

# What a header's deck says of the calls of its shard; of a sweep, whose digest is that of its kind.
_OF_CALLS = ("digest", "calls")
_OF_CHUNKS = ("calls",)
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
        pairs = [(name, _anywhere(first, name), _anywhere(record, name)) for name in ("sweep", *SAME)]
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
    """A part of a header, without what each shard has of its own: its calls, and what processors differ in."""
    found = record.header.get(name)
    if not isinstance(found, Mapping):
        return found
    if name == "sweep":
        return whole_sweep(found)
    if name == "deck":
        own = _OF_CHUNKS if "sweep" in record.header else _OF_CALLS
        return {key: value for key, value in found.items() if key not in own}
    if name != "targets":
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
        sweep = record.header.get("sweep")
        shard = record.header["shard"] if sweep is None else sweep["shard"]
        found = parse_shard(shard) if isinstance(shard, str) else Shard(int(shard["index"]), int(shard["of"]))
    except (KeyError, TypeError, ValueError, OverflowError, UsageError):
        what = "records of lossproof run --shard I/N, or of lossproof sweep --shard I/N"
        raise UsageError(f"{record.path} is no shard; expected {what}") from None
    return found.index, found.of


def whole_sweep(sweep: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a header says of a sweep, without the shard of it."""
    return {key: value for key, value in sweep.items() if key != "shard"}


def merged_header(shards: Sequence[Record], of_all: Mapping[str, Any], command: Sequence[str]) -> dict[str, Any]:
    """The header of the whole: that of the first shard, and what is each shard's own. ``of_all`` is what it says of all
    calls."""
    left_out = ("lossproof", "format", "shard", "withheld")
    own = [
        {"index": i, "of": len(shards), **{k: r.header[k] for k in _OWN if k in r.header}}
        for i, r in enumerate(shards, 1)
    ]
    kept = {k: v for k, v in shards[0].header.items() if k not in left_out}
    kept["deck"] = {**kept["deck"], **of_all}
    if "sweep" in kept:
        kept["sweep"] = whole_sweep(kept["sweep"])
    withheld: Counter[str] = Counter()
    for record in shards:
        withheld.update(record.header.get("withheld", {}))
    apart = _apart(shards)
    own = [{**one, **({"facts": facts} if facts else {})} for one, facts in zip(own, apart, strict=True)]
    # What the shards do not agree on is not known of the whole.
    described = {name: _without(d, apart[0].get(name, {}).__contains__) for name, d in kept["targets"].items()}
    left = {"withheld": dict(withheld)} if withheld else {}
    return {**kept, **left, "targets": described, "command": list(command), "shards": own}


def shares(calls: Sequence[Call], division: Division, of: int) -> list[list[Call]]:
    """The calls of each shard, in order."""
    found: list[list[Call]] = [[] for _ in range(of)]
    for call in calls:
        found[division.part_of(call) - 1].append(call)
    return found


class _Stream:
    """The observations of one shard, one of them in sight, and those that were passed and not asked for yet.

    ``stacks`` are the shard's, which may be longer than those of the whole run: what is between two calls there may be
    in another shard.
    """

    def __init__(self, record: Record, stacks: Iterable[Sequence[Call]], targets: Sequence[Recorded]) -> None:
        self.record, self.count = record, 0
        self._stacks, self._targets = iter(stacks), targets
        self._passed: dict[tuple[str, str], list[Observation]] = {}
        self._read: set[str] = set()
        self._rest = iter(record)
        self.head = next(self._rest, None)

    def of(self, target: str, call: Call) -> list[Observation]:
        """What a target's answer to a call was found to be; nothing where it was not asked. Once for each."""
        while call.id not in self._read:
            self._pass(next(self._stacks))
        return self._passed.pop((target, call.id), [])

    def _pass(self, stack: Sequence[Call]) -> None:
        ids = {call.id for call in stack}
        for target in self._targets:
            while self.head is not None and self.head.target == target.name and self.head.id in ids:
                found = self.take()
                self._passed.setdefault((target.name, found.id), []).append(found)
        self._read |= ids

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
        check_end(self.record, self.count)


def check_end(record: Record, count: int) -> None:
    """Raise :class:`UsageError` unless a shard came to its end, which names so many observations."""
    said = (record.end() or {}).get("observations")
    if said is None:
        raise UsageError(f"{record.path} is cut short; finish it with --resume, or run that shard again")
    if said != count:
        raise UsageError(f"{record.path} has {count} observations; expected the {said} that its end names")


def told_ends(shards: Sequence[Record], clock: Clock) -> float:
    """Tell a clock what the ends of shards say of theirs, and return the seconds of all. Raises :class:`UsageError`
    where one of them is damaged."""
    total = 0.0
    for record in shards:
        end = record.end() or {}
        told, seconds = end.get("clock", {}), end.get("seconds", 0.0)
        if not isinstance(told, Mapping) or not isinstance(seconds, float | int) or not abs(seconds) <= _LONGEST:
            raise UsageError(f"{record.path}: the times at its end are damaged")
        clock.more(told)
        total += seconds
    return total


@dataclass
class ShardBooks:
    """The books of shards, each for the targets that its own record describes. ``current`` is the shard that the last
    observation is from; None for what is said of all."""

    current: Record | None = None
    _books: dict[str, Book] = field(default_factory=dict)

    def in_force(self, book: Book) -> Book:
        """The book of the current shard, or of the whole; they count together."""
        if self.current is None:
            return book
        name = str(self.current.path)
        if name not in self._books:
            self._books[name] = replace(book, targets=recorded_targets(self.current))
        return self._books[name]


@dataclass
class Merged:
    """A source: the observations of the whole run, in its order, from the records of its ``shards``, all of them and in
    order. ``calls`` are the deck, and ``division`` says which shard has which.

    Processors may differ: what a shard observed is marked by what its own targets had.
    """

    shards: Sequence[Record]
    calls: Sequence[Call]
    division: Division
    targets: Sequence[Target] = ()
    clock: Clock = field(default_factory=Clock)
    seconds: float = 0.0
    lost: Mapping[str, str] = field(default_factory=dict)
    _books: ShardBooks = field(default_factory=ShardBooks)

    def book_in_force(self, book: Book) -> Book:
        """The book of the shard that the last observation is from, or of the whole run; they count together."""
        return self._books.in_force(book)

    def observations(self) -> Generator[Observation]:
        """Every observation, and then the conclusions from all of them, which no shard could draw."""
        several, parts = recorded_targets(self.shards[0]), shares(self.calls, self.division, len(self.shards))
        conclusions = Conclusions(several)
        streams = [_Stream(r, groups(own), several) for r, own in zip(self.shards, parts, strict=True)]
        for stack in groups(self.calls):
            # Calls of one signature are in one shard.
            stream = streams[self.division.part_of(stack[0]) - 1]
            for target in several:
                found = [o for call in stack for o in stream.of(target.name, call)]
                conclusions.add(target, stack, found)
                self._books.current = stream.record
                yield from found
        self._books.current = None
        for stream in streams:
            stream.finish()
        yield from conclusions.verdicts()
        self.seconds += told_ends(self.shards, self.clock)

    def close(self) -> None:
        """Nothing runs."""
