"""A run in numbers: cells, groups of failures, conventions, and why it fails. Pure; terminals and reports print it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from lossproof.core.case_id import ALL, CONVENTION, ERROR
from lossproof.core.observation import FAILING, Observation
from lossproof.core.profiles import STRICTNESS, met
from lossproof.records.waivers import Book, symptom, verdict

CellKey = tuple[str, str, str]
GroupKey = tuple[str, str, str, str, str]


@dataclass
class Cell:
    """All observations of one target, op and dtype."""

    verdicts: Counter[str] = field(default_factory=Counter)
    share: float = 0.0
    ulp: float = 0.0
    declared: str = ""
    _met: int = 0
    _judged: int = 0

    @property
    def met(self) -> str:
        """The strictest profile that every judged output meets, or an empty text."""
        return STRICTNESS[self._met] if self._judged else ""

    def add(self, o: Observation) -> None:
        """Count one observation."""
        self.verdicts[verdict(o)] += 1
        if o.verdict == "unsupported" or not o.profile:
            # What is said of conventions and modes at the end of a run has no profile.
            return
        # Calls with a wider output are judged by the wide format's profile; the cell declares the loosest.
        if not self.declared or STRICTNESS.index(o.profile) > STRICTNESS.index(self.declared):
            self.declared = o.profile
        self._judged += 1
        self._met = max(self._met, STRICTNESS.index(met(o)))
        self.share = max(self.share, o.share)
        # A derivative may vanish by cancellation: its error in units of a tiny exact value says nothing.
        if math.isfinite(o.ulp) and o.output == "value":
            self.ulp = max(self.ulp, o.ulp)


@dataclass
class FindingGroup:
    """Findings that likely share a mechanism: one target, op, dtype, family and output, ``count`` of ``given``."""

    count: int = 0
    given: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    worst: Observation | None = None

    def add(self, o: Observation) -> None:
        """Count one failure, and keep the worst."""
        self.count += 1
        self.kinds[symptom(o) or o.verdict] += 1
        if self.worst is None or severity(o) > severity(self.worst):
            self.worst = o


@dataclass
class Summary:
    """Everything that the views of a run need, without keeping its observations."""

    cells: dict[CellKey, Cell] = field(default_factory=dict)
    groups: dict[GroupKey, FindingGroup] = field(default_factory=dict)
    suspects: dict[GroupKey, FindingGroup] = field(default_factory=dict)
    unexpected: dict[tuple[str, str], Observation] = field(default_factory=dict)
    conventions: dict[tuple[str, str, str], dict[str, dict[str, Counter[str]]]] = field(default_factory=dict)
    unsupported: Counter[tuple[str, str]] = field(default_factory=Counter)
    notes: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    total: Counter[str] = field(default_factory=Counter)
    listed: list[str] = field(default_factory=list)
    _given: Counter[GroupKey] = field(default_factory=Counter)

    def add(self, o: Observation) -> None:
        """Count one observation."""
        op, dtype, family = o.case.op, o.case.dtype, o.case.family
        shown = verdict(o)
        self.total[shown] += 1
        self.cells.setdefault((o.target, op, dtype), Cell()).add(o)
        key = (o.target, op, dtype, family, o.output)
        self._given[key] += 1
        if shown == "unexpected_pass":
            self.unexpected.setdefault((o.target, o.waiver), o)
        elif shown in FAILING:
            self.groups.setdefault(key, FindingGroup()).add(o)
        elif shown == "suspect":
            self.suspects.setdefault(key, FindingGroup()).add(o)
        elif shown == "unsupported":
            self.unsupported[o.target, o.message] += 1
        if o.note:
            count, first = self.notes.get((o.target, o.note), (0, o.id))
            self.notes[o.target, o.note] = (count + 1, first)
        if family == CONVENTION and o.verdict == "convention":
            where = "" if dtype == ALL else f"{o.target} {op} {dtype}: "
            self.listed.append(f"{where}{o.message}")
        for clause, behaviour in o.conventions.items():
            by_target = self.conventions.setdefault((clause, op, o.output), {})
            by_target.setdefault(o.target, {}).setdefault(dtype, Counter())[behaviour] += 1

    def add_all(self, observations: Iterable[Observation]) -> Summary:
        """Count many."""
        for o in observations:
            self.add(o)
        return self

    def ranked(self, groups: dict[GroupKey, FindingGroup]) -> list[tuple[GroupKey, FindingGroup]]:
        """Groups, worst first, wrong numbers before refusals; but one of each kind (target, op, output, symptom) before
        the second of any."""
        by_share = sorted(groups.items())
        by_share.sort(key=lambda item: severity(item[1].worst) if item[1].worst else (0, 0.0), reverse=True)
        turns: Counter[tuple[str, ...]] = Counter()
        order = []
        for key, group in by_share:
            group.given = self._given[key]
            kind = (key[0], key[1], key[4], group.kinds.most_common(1)[0][0])
            order.append((turns[kind], key, group))
            turns[kind] += 1
        return [(key, group) for _, key, group in sorted(order, key=lambda item: item[0])]

    @property
    def failed(self) -> int:
        """Observations that make the run fail whatever the options."""
        return sum(n for v, n in self.total.items() if v in FAILING and v != "unexpected_pass")

    def idle(self, names: Iterable[str]) -> list[str]:
        """The targets of which no output of any call was judged: an OK would say nothing of them."""
        judged = {
            target
            for (target, _, dtype), cell in self.cells.items()
            if dtype != ALL and cell.verdicts.total() > cell.verdicts["unsupported"]
        }
        return [name for name in names if name not in judged]

    def reasons(self, book: Book, *, strict: bool, complete: bool) -> list[str]:
        """Why the run fails, one line each; nothing when it is green. ``complete`` runs are unfiltered."""
        counts = [f"{n} {v}" for v, n in sorted(self.total.items()) if v in FAILING and v != "unexpected_pass"]
        strictly = self.strict_reasons(book, complete=complete) if strict else []
        return [*([", ".join(counts)] if counts else []), *strictly]

    def strict_reasons(self, book: Book, *, complete: bool) -> list[str]:
        """Why the run fails beside its failures, under ``--strict``: faults that happened once, waivers that no longer
        hold."""
        found = []
        if self.notes:
            found.append(f"{len(self.notes)} faults that did not happen again")
        names = sorted({name for _, name in self.unexpected if book.is_seen(book.named(name))})
        if names:
            found.append(f"unexpected pass of waiver {', '.join(names)}")
        stale = [w.name for w in book.stale() if book.is_seen(w)] if complete else []
        if stale:
            found.append(f"stale waiver {', '.join(stale)}")
        return found


def severity(o: Observation) -> tuple[int, float]:
    """Say how bad a finding is, for sorting: a rank, and the share of the bound.

    Worst are wrong numbers and processes that end, then numbers in answer to invalid input, then refusals: an
    exception, a missing output, a wrong shape. Who is refused knows it.
    """
    if o.verdict == "fail" and o.got is None:
        return 0, o.share
    return 1 if o.case.family == ERROR else 2, o.share


def behaviours(by_dtype: dict[str, Counter[str]]) -> str:
    """The conventions of one target for a clause: one text if all dtypes agree, else dtype by dtype."""
    texts = {
        dtype: "|".join(sorted({part for shown in counts for part in shown.split("|")}))
        for dtype, counts in by_dtype.items()
    }
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return "; ".join(f"{dtype}: {text}" for dtype, text in texts.items())
