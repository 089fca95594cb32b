"""Observations of two records side by side, as a stream.

Records are in the order of their decks, so equal decks run in step. Where they do not, both are read once more for what
they have in common: from then on nothing waits for a partner that does not come.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lossproof.core.case_id import CONVENTION, CaseId, is_of_implementation
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.core.profiles import STRICTNESS, met_of
from lossproof.records.diff import Pair, Unchanged
from lossproof.records.headers import Names
from lossproof.records.record import Record, is_call, observation, parsed, texts, with_call

# How lines are written. Others are read as well, more slowly. No text in a line can contain these names unescaped.
_HEAD = re.compile(r'\{"id":"([^"\\]*)","output":"([^"\\]*)","target":"([^"\\]*)"')
_SECONDS = re.compile(r',"seconds":[^,}]*')
_MET = re.compile(r',"(verdict|profile|met)":"([^"\\]*)"')
# What most lines are: a pass with nothing to say. Of these, only what a comparison asks for is read.
_PASS = re.compile(
    r',"verdict":"pass"(?:,"share":([^,"]+))?(?:,"ulp":([^,"]+))?(?:,"index":\[[^\]]*\])?(?:,"got":[^,]+)?'
    r'(?:,"exact":\[[^\]]*\])?(?:,"allowed":[^,]+)?(?:,"profile":"(\w*)")?(?:,"met":"(\w*)")?(?:,"bits":"(\w*)")?'
    r'(?:,"seconds":[^,}]+)?(?:,"rows":\d+)?(?:,"classes":\d+)?(?:,"reduction":"\w*")?\}\n'
)

_PROFILES = frozenset(STRICTNESS)

LineKey = tuple[str, str, str]


@dataclass(slots=True)
class Line:
    """One observation as it is written: its key (target in the first record, id, output), and ``rest`` behind it."""

    path: str
    number: int
    key: LineKey
    text: str
    rest: str


@dataclass
class RecordSide:
    """One of the two records, with the ``names`` of those of its targets and implementations that are compared.

    Known after its lines are ``end``, the facts at the end of its run (None if it did not come to that), and ``calls``,
    the JSON objects of the calls that travel with it, by their ids.
    """

    record: Record
    names: Names
    end: dict[str, Any] | None = None
    calls: dict[str, Any] = field(default_factory=dict)

    def lines(self) -> Iterator[Line]:
        """Read the lines of the targets that are compared."""
        path, names = self.record.path, self.names
        for number, text in texts(path):
            if number == 1:
                continue
            head = _HEAD.match(text)
            if head is not None and text.endswith("}\n"):
                case, output, target = head.groups()
                rest = text[head.end() :]
            else:
                data = parsed(path, number, text)
                if data is None:
                    return
                if "end" in data:
                    self.end = data["end"] if isinstance(data["end"], dict) else {}
                    continue
                if is_call(data):
                    self.calls[data["of"]] = data["call"]
                    continue
                o = observation(path, number, data)
                case, output, target, rest = o.id, o.output, o.target, text
            name = (names.implementations if is_of_implementation(case) else names.targets).get(target)
            if name is not None:
                yield Line(str(path), number, (name, case, output), text, rest)

    def observation(self, line: Line) -> Observation:
        """Parse a line; of a plain pass no more than share, ULP, profiles and bits.

        Raises :class:`UsageError` if it is no observation.
        """
        plain = _PASS.fullmatch(line.rest)
        if plain is not None:
            target, case, output = line.key
            share, ulp, profile, met, bits = plain.groups("")
            # What is no number, or no profile, is told below.
            with suppress(ValueError):
                accuracy = float(share or 0), float(ulp or 0)
                if {profile, met} <= _PROFILES:
                    return Observation(case, output, target, "pass", *accuracy, profile=profile, met=met, bits=bits)
        data = parsed(self.record.path, line.number, line.text)
        # sanity check: a line without an end was not given out
        assert data is not None
        return with_call(observation(self.record.path, line.number, data), self.calls)


def pairs(before: RecordSide, after: RecordSide) -> Iterator[Pair | Unchanged]:
    """Pair what both records say of each output, in order; an output that one of them lacks is paired with None."""
    for a, b in joined(before.lines(), after.lines(), lambda: common(before, after)):
        if a is not None and b is not None and (a.rest == b.rest or _timeless(a.rest) == _timeless(b.rest)):
            yield _unchanged(a)
            continue
        line = a or b
        # sanity check: a pair has a side
        assert line is not None
        one, other = (side.observation(x) if x else None for side, x in ((before, a), (after, b)))
        yield Pair(line.key[0], one, other)


def common(before: RecordSide, after: RecordSide) -> frozenset[int]:
    """Collect the hashes of keys that both records have. A rare false one is found out in the end."""
    first = {hash(line.key) for line in before.lines()}
    return frozenset(h for line in after.lines() if (h := hash(line.key)) in first)


def joined(
    before: Iterator[Line], after: Iterator[Line], shared: Callable[[], frozenset[int]]
) -> Iterator[tuple[Line | None, Line | None]]:
    """Join lines of the same key. ``shared`` is asked when the first two differ."""
    keys = _Once(shared)
    waiting: tuple[dict[LineKey, Line], dict[LineKey, Line]] = {}, {}
    a, b = next(before, None), next(after, None)
    while a is not None or b is not None:
        if a is not None and b is not None and a.key == b.key:
            yield a, b
            a, b = next(before, None), next(after, None)
        elif a is not None and hash(a.key) not in keys.found:
            yield a, None
            a = next(before, None)
        elif b is not None and hash(b.key) not in keys.found:
            yield None, b
            b = next(after, None)
        else:
            # Both have it, in another order.
            if a is not None:
                partner = _met(a, waiting[1], waiting[0])
                if partner is not None:
                    yield a, partner
                a = next(before, None)
            if b is not None:
                partner = _met(b, waiting[0], waiting[1])
                if partner is not None:
                    yield partner, b
                b = next(after, None)
    yield from ((line, None) for line in waiting[0].values())
    yield from ((None, line) for line in waiting[1].values())


@dataclass
class _Once:
    make: Callable[[], frozenset[int]]

    @cached_property
    def found(self) -> frozenset[int]:
        return self.make()


def _met(line: Line, others: dict[LineKey, Line], waiting: dict[LineKey, Line]) -> Line | None:
    """The partner of a line among those that wait on the other side; without one the line waits on its own."""
    partner = others.pop(line.key, None)
    if partner is not None:
        return partner
    if line.key in waiting:
        _, case, output = line.key
        raise UsageError(f"{line.path}: line {line.number} has {case} {output} a second time")
    waiting[line.key] = line
    return None


def _timeless(rest: str) -> str:
    return _SECONDS.sub("", rest, count=1)


def _unchanged(line: Line) -> Unchanged:
    target, case, _ = line.key
    where = CaseId.parse(case)
    if line.rest is line.text:
        data = json.loads(line.text)
        facts = {name: data.get(name, "") for name in ("verdict", "profile", "met")}
    else:
        facts = dict(_MET.findall(line.rest))
    verdict = facts.get("verdict", "")
    for name in ("profile", "met"):
        if facts.get(name, "") not in STRICTNESS:
            wrong = f"unknown error profile {facts[name]!r}"
            raise UsageError(f"{line.path}: line {line.number} is not an observation: {wrong}")
    return Unchanged(
        target,
        where.op,
        where.dtype,
        met_of(verdict, facts.get("profile", ""), facts.get("met", "")),
        verdict != "unsupported" and where.family != CONVENTION,
    )
