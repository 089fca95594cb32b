"""A diff of two records: pairs of observations in, frozen facts out. Pure; nothing here reads or prints."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lossproof.core.case_id import CONVENTION
from lossproof.core.observation import Observation
from lossproof.core.profiles import STRICTNESS, met
from lossproof.records.changes import Change, changes_between, is_answered
from lossproof.records.diff_options import LEVELS, ON_BITS, ON_REGRESSION
from lossproof.records.slowdowns import Slowdown

# Changes that are kept one by one, of each kind; groups count them all.
KEPT = 20_000


class Unchanged(NamedTuple):
    """A pair that differs in nothing but its duration, reduced to what the error profiles need to know of it.

    It is judged unless the target does not offer it.
    """

    target: str
    op: str
    dtype: str
    met: str
    is_judged: bool


@dataclass(frozen=True)
class Pair:
    """One output in both records, or in one of them; ``target`` is its name in the first."""

    target: str
    before: Observation | None
    after: Observation | None


@dataclass(frozen=True)
class ChangeGroup:
    """Changes of one kind, target, op, dtype, family and output, from one state to another: how many, and the first."""

    count: int
    first: Change


@dataclass(frozen=True)
class ProfileChange:
    """The strictest error profile that all outputs of a target, op and dtype meet, where it moved.

    ``outputs`` are those that meet a looser one than before (or, where it rose, a stricter one), ``first`` one of them.
    """

    target: str
    op: str
    dtype: str
    before: str
    after: str
    outputs: int
    first: str

    @property
    def dropped(self) -> bool:
        """Tell whether the profile is looser than before."""
        return STRICTNESS.index(self.after) > STRICTNESS.index(self.before)


@dataclass(frozen=True)
class Shift:
    """Accuracy of a target, op, dtype and output, over outputs that are good in both records and differ.

    ``bits`` of them differ in a bit, ``moved`` in share of the bound. Worst share and worst error in ULP before and
    after, and the case whose share moved most, or else the first that differs: ``mover``, with its two shares.
    """

    target: str
    op: str
    dtype: str
    output: str
    bits: int
    moved: int
    share: tuple[float, float]
    ulp: tuple[float, float]
    mover: str
    mover_share: tuple[float, float]

    @property
    def size(self) -> float:
        """Distance that the mover moved, in shares of the bound."""
        return abs(self.mover_share[1] - self.mover_share[0])


@dataclass(frozen=True)
class Facts:
    """Facts of the two records that do not need their observations.

    ``pairs`` of targets are compared, others are ``left_out``; ``cut_short`` names the records whose runs did not end,
    ``header`` the fields that differ, and ``same_deck`` says whether deck and shard are the same.
    """

    before: str
    after: str
    pairs: tuple[tuple[str, str], ...]
    left_out: tuple[str, ...] = ()
    cut_short: tuple[str, ...] = ()
    header: tuple[tuple[str, Any, Any], ...] = ()
    same_deck: bool = True


@dataclass(frozen=True)
class Diff:
    """A comparison of two records with everything that changed.

    ``compared`` outputs are in both records; of them ``unchanged`` differ in nothing. Of the targets in ``idle`` no
    output was judged in both.

    ``levels`` counts the changes that fail at a level or above; ``changes`` are the first :data:`KEPT` of each kind.
    ``slower`` are kernels by the times at the end of both records, which fail nothing.
    """

    facts: Facts
    compared: int
    unchanged: int
    counts: dict[str, int]
    levels: dict[str, int]
    groups: tuple[ChangeGroup, ...]
    changes: tuple[Change, ...]
    profiles: tuple[ProfileChange, ...]
    shifts: tuple[Shift, ...]
    idle: tuple[str, ...] = ()
    slower: tuple[Slowdown, ...] = ()

    @property
    def bits(self) -> int:
        """Number of outputs that differ in a bit."""
        return sum(s.bits for s in self.shifts)

    def of(self, kind: str) -> tuple[ChangeGroup, ...]:
        """List the groups of one kind, the largest first."""
        return tuple(g for g in self.groups if g.first.kind == kind)

    def reasons(self, fail_on: str) -> list[str]:
        """Say why the comparison fails at a level, which includes those before it; nothing if it does not."""
        wanted = LEVELS[: LEVELS.index(fail_on) + 1]
        idle = [f"nothing was judged of {name} in both" for name in self.idle]
        return [*(f"{self.levels[level]} at level {level}" for level in wanted if self.levels[level]), *idle]


def is_judged(o: Observation) -> bool:
    """Tell whether an observation says something of an output: it is on offer, and no conclusion from others."""
    return o.verdict != "unsupported" and o.case.family != CONVENTION


def differ(a: Observation, b: Observation) -> bool:
    """Tell whether two answers differ in any bit."""
    return bool(a.bits and b.bits) and a.bits != b.bits


@dataclass
class _MovedOutputs:
    bits: int = 0
    moved: int = 0
    share: list[float] = field(default_factory=lambda: [0.0, 0.0])
    ulp: list[float] = field(default_factory=lambda: [0.0, 0.0])
    mover: str = ""
    mover_share: tuple[float, float] = (0.0, 0.0)

    def add(self, a: Observation, b: Observation) -> None:
        self.bits += differ(a, b)
        if not self.mover or abs(b.share - a.share) > abs(self.mover_share[1] - self.mover_share[0]):
            self.mover, self.mover_share = a.id, (a.share, b.share)
        if (a.share, a.ulp) == (b.share, b.ulp):
            return
        self.moved += 1
        for side, o in enumerate((a, b)):
            self.share[side] = max(self.share[side], o.share)
            # A derivative may vanish by cancellation: its error in units of a tiny exact value says nothing.
            if math.isfinite(o.ulp) and o.output == "value":
                self.ulp[side] = max(self.ulp[side], o.ulp)


@dataclass
class _MetProfiles:
    """The ratchet of one target, op and dtype."""

    met: list[int] = field(default_factory=lambda: [0, 0])
    moved: list[int] = field(default_factory=lambda: [0, 0])
    first: list[str] = field(default_factory=lambda: ["", ""])

    def add(self, before: str, after: str, case: str = "") -> None:
        one, other = STRICTNESS.index(before), STRICTNESS.index(after)
        if one > self.met[0]:
            self.met[0] = one
        if other > self.met[1]:
            self.met[1] = other
        if one != other:
            up = other < one
            self.moved[up] += 1
            self.first[up] = self.first[up] or case


def compare(facts: Facts, pairs: Iterable[Pair | Unchanged]) -> Diff:
    """Compare two records, pair by pair, in memory that depends on what changed only."""
    compared = unchanged = 0
    judged: set[str] = set()
    kinds: Counter[str] = Counter()
    levels: Counter[str] = Counter()
    kept: list[Change] = []
    groups: dict[tuple[str, ...], tuple[int, Change]] = {}
    cells: dict[tuple[str, str, str], _MetProfiles] = defaultdict(_MetProfiles)
    accuracy: dict[tuple[str, str, str, str], _MovedOutputs] = defaultdict(_MovedOutputs)
    for pair in pairs:
        if isinstance(pair, Unchanged):
            compared += 1
            unchanged += 1
            if pair.is_judged:
                judged.add(pair.target)
            if pair.met:
                cells[pair[:3]].add(pair.met, pair.met)
            continue
        a, b = pair.before, pair.after
        changes = list(changes_between(pair.target, a, b, same_deck=facts.same_deck))
        for change in changes:
            kinds[change.kind] += 1
            levels[change.fails] += 1
            count, first = groups.get(change.group, (0, change))
            groups[change.group] = (count + 1, first)
            if kinds[change.kind] <= KEPT:
                kept.append(change)
        if a is None or b is None:
            continue
        compared += 1
        if is_judged(a) and is_judged(b):
            judged.add(pair.target)
        moved = False
        if is_answered(a) and is_answered(b):
            moved = differ(a, b) or (a.share, a.ulp) != (b.share, b.ulp)
            if moved:
                accuracy[pair.target, a.case.op, a.case.dtype, a.output].add(a, b)
            mets = met(a), met(b)
            if all(mets):
                cells[pair.target, a.case.op, a.case.dtype].add(*mets, a.id)
        unchanged += not changes and not moved
    profiles = tuple(_profiles(cells))
    shifts = tuple(
        sorted(
            (
                Shift(*key, s.bits, s.moved, (s.share[0], s.share[1]), (s.ulp[0], s.ulp[1]), s.mover, s.mover_share)
                for key, s in accuracy.items()
            ),
            key=lambda s: -s.size,
        )
    )
    levels[ON_REGRESSION] += sum(p.dropped for p in profiles)
    levels[ON_BITS] += sum(s.bits for s in shifts)
    ranked = sorted(groups.values(), key=lambda g: -g[0])
    return Diff(
        facts,
        compared,
        unchanged,
        dict(kinds),
        {level: levels[level] for level in LEVELS},
        tuple(ChangeGroup(*g) for g in ranked),
        tuple(kept),
        profiles,
        shifts,
        tuple(name for name, _ in facts.pairs if name not in judged),
    )


def _profiles(cells: dict[tuple[str, str, str], _MetProfiles]) -> Iterable[ProfileChange]:
    for key, cell in cells.items():
        if cell.met[0] != cell.met[1]:
            up = cell.met[1] < cell.met[0]
            yield ProfileChange(*key, STRICTNESS[cell.met[0]], STRICTNESS[cell.met[1]], cell.moved[up], cell.first[up])
