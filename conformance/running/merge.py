"""Shards of one run become the record that the whole run would have written, but for the times.

The observations go back into the order of the deck. What is said of conventions and of the bits of modes is said again,
of all shards together: a contradiction between two of them shows in neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lossproof.core.call import Call
from lossproof.core.case_id import CONVENTION
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.records.record import Record
from lossproof.records.recorded_targets import recorded_targets
from lossproof.running.convention_ledger import Ledger
from lossproof.running.loop import groups
from lossproof.running.mode_agreement import Agreement
from lossproof.running.resume import SAME, difference
from lossproof.running.shard import Shard, divide

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
        pairs = [(name, first.header.get(name), record.header.get(name)) for name in SAME]
        for name, one, other in (("number of shards", parts, of), *pairs):
            apart = difference(one, other, name)
            if apart:
                raise UsageError(f"{first.path} and {record.path} are shards of two runs: {apart}")
        found[index] = record
    absent = [f"{i}/{parts}" for i in range(1, parts + 1) if i not in found]
    if absent:
        raise UsageError(f"shards {', '.join(absent)} are missing; run them, or give their records too")
    return [found[i] for i in range(1, parts + 1)]


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
    return {**kept, "command": list(command), "shards": own}


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


def merged(shards: Sequence[Record], calls: Sequence[Call]) -> Iterator[Observation]:
    """The observations of the whole run, in its order. ``calls`` are the deck, ``shards`` all of them in order."""
    several = recorded_targets(shards[0])
    ledgers = {t.implementation: Ledger(t.implementation, t.declared) for t in several}
    agreement = Agreement(several)
    streams = [_Stream(record) for record in shards]
    stacks = list(groups(calls))
    for stack, index in zip(stacks, divide(stacks, len(shards)), strict=True):
        by_id, stream = {c.id: c for c in stack}, streams[index - 1]
        for target in several:
            found = []
            while stream.head is not None and stream.head.target == target.name and stream.head.id in by_id:
                found.append(stream.take())
                ledgers[target.implementation].add(by_id[found[-1].id], found[-1])
            agreement.add(target, found)
            yield from found
    for stream in streams:
        stream.finish()
    for ledger in ledgers.values():
        yield from ledger.verdicts()
    yield from agreement.grades()
