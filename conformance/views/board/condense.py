"""From a record to the condensed records of its targets."""

from __future__ import annotations

import datetime
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lossproof.core.case_id import ALL, is_of_implementation
from lossproof.core.errors import UsageError
from lossproof.core.observation import FAILING, Observation
from lossproof.records.conditions import context
from lossproof.records.record import Record, read_record
from lossproof.records.recorded_targets import Recorded, recorded_targets
from lossproof.records.waivers import verdict, waivers_in_force
from lossproof.running.summary import Cell, Summary
from lossproof.views.board.condensed import (
    Condensed,
    CondensedCell,
    DeviationCount,
    ShownConvention,
    UnexplainedFailure,
)
from lossproof.views.shown_names import shown_names

# What says which machine, checkout or environment a target ran in, and nothing of the target.
_LOCAL = frozenset({"implementation", "environment", "python", "numpy", "threads"})
_ENVIRONMENT = re.compile(r"@[^%]+")
# The folders of an absolute path, as the last words of a process may name some; an address and an id have none.
_FOLDERS = re.compile(r"(?<![\w/:.])/(?:[\w.+@-]+/)+")
_FAILURES = 40


@dataclass
class _Gathered:
    """What is gathered of one target beside its summary."""

    summary: Summary = field(default_factory=Summary)
    cases: set[str] = field(default_factory=set)
    cases_waived: set[str] = field(default_factory=set)
    passed: dict[tuple[str, str], float] = field(default_factory=dict)
    waived: dict[str, list[Observation]] = field(default_factory=lambda: defaultdict(list))

    def add(self, o: Observation) -> None:
        """Count one observation."""
        self.summary.add(o)
        shown = verdict(o)
        if shown == "unsupported":
            return
        if o.case.dtype != ALL:
            self.cases.add(o.id)
        if shown == "waived":
            self.cases_waived.add(o.id)
            self.waived[o.waiver].append(o)
        elif shown not in FAILING and math.isfinite(o.share):
            key = (o.case.op, o.case.dtype)
            self.passed[key] = max(self.passed.get(key, 0.0), o.share)


def condense(path: str | Path, *, date: str = "", waivers: Sequence[str] = ()) -> list[Condensed]:
    """Condense a record: one condensed record for each of its targets.

    ``date`` is the day of the run, by default that on which the file was last written; ``waivers`` are files of the
    user's own. Failures that a waiver of today explains count as waived, whatever the record says. Raises
    :class:`UsageError` for a file that is no record, and for a record of a sweep or of a shard.
    """
    record = read_record(path)
    for name in ("sweep", "shard", "giant"):
        if name in record.header:
            raise UsageError(f"{path} is the record of a {name}; the board takes whole runs of a deck")
    there = recorded_targets(record)
    book = waivers_in_force(there, waivers)
    gathered = {t.name: _Gathered() for t in there}
    of_implementation: dict[str, list[str]] = defaultdict(list)
    for t in there:
        of_implementation[t.implementation].append(t.name)
    names = {t.name: _ENVIRONMENT.sub("", shown_names(record.header).get(t.name, t.name)) for t in there}
    for o in record:
        marked = o if o.waiver else book.mark(o)
        if "@" in marked.message + marked.note:
            marked = replace(marked, message=_renamed(marked.message, names), note=_renamed(marked.note, names))
        meant = of_implementation.get(o.target, []) if is_of_implementation(o.id) else []
        for name in meant or [o.target]:
            if name in gathered:
                gathered[name].add(marked if name == marked.target else replace(marked, target=name))
    end = record.end()
    return [_condensed(record, t, names[t.name], gathered[t.name], date or _day(record.path), end) for t in there]


def _day(path: Path) -> str:
    return datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC).date().isoformat()


def _condensed(
    record: Record, t: Recorded, name: str, g: _Gathered, date: str, end: Mapping[str, Any] | None
) -> Condensed:
    header, where = record.header, context(t)
    facts = header["targets"][t.name]
    package, version = _package(t, where.package)
    cpu = header.get("cpu", {})
    return Condensed(
        name=name,
        package=package,
        version=version,
        date=date,
        suite=str(header.get("suite", "")),
        deck=header.get("deck", {}),
        machine={
            "platform": _system(str(header.get("platform", ""))),
            "cpu": cpu.get("model", ""),
            "machine": cpu.get("machine", ""),
            "python": str(facts.get("python", header.get("python", ""))),
        },
        target={k: v for k, v in facts.items() if k not in _LOCAL},
        complete=end is not None,
        cases=len(g.cases),
        cases_waived=len(g.cases_waived & g.cases),
        cells=tuple(
            _cell(op, dtype, c, g.passed.get((op, dtype), 0.0)) for (_, op, dtype), c in sorted(g.summary.cells.items())
        ),
        filters=header.get("filters", {}),
        conventions=tuple(
            ShownConvention(clause, op, output, {d: dict(n) for d, n in sorted(next(iter(by.values())).items())})
            for (clause, op, output), by in sorted(g.summary.conventions.items(), key=_in_order)
        ),
        waived=tuple(_deviation(n, found) for n, found in sorted(g.waived.items())),
        failures=tuple(_failures(g.summary)),
        not_given=_counted(sorted(((reason, n) for (_, reason), n in g.summary.unsupported.items()), key=_most)),
        notes=_counted((note, n) for (_, note), (n, _) in sorted(g.summary.notes.items())),
    )


def _renamed(text: str, names: Mapping[str, str]) -> str:
    """The text with the names that targets have on the board; the longest first, since one may begin another."""
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, names[name])
    return text


def _without_folders(text: str) -> str:
    """The text with the names of files, and not where they are on the machine that ran."""
    return _FOLDERS.sub("", text)


def _counted(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Counts by text; texts that differ in folders are one."""
    found: dict[str, int] = {}
    for text, n in pairs:
        text = _without_folders(text)
        found[text] = found.get(text, 0) + n
    return found


def _system(platform: str) -> str:
    """The operating system and its C library; which kernel was built for a machine says nothing of results."""
    system, _, rest = platform.partition("-")
    return ", ".join(part for part in (system, rest.rpartition("-with-")[2] if "-with-" in rest else "") if part)


def _cell(op: str, dtype: str, c: Cell, passed: float) -> CondensedCell:
    share, share_passed, ulp = (_rounded(x) for x in (c.share, passed, c.ulp))
    return CondensedCell(op, dtype, dict(c.verdicts), share, share_passed, ulp, c.declared, c.met)


def _rounded(x: float) -> float:
    """Four digits are what a table shows, and more."""
    return float(f"{x:.4g}")


def _in_order(item: tuple[tuple[str, str, str], Any]) -> tuple[str, tuple[str, str, str]]:
    return item[0][0].rjust(2), item[0]


def _most(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _package(t: Recorded, named: str) -> tuple[str, str]:
    """The package that an implementation is judged by, and its version; of an adapter that names none, the first.

    What a build adds to its version (``2.13.0+cpu``) is among the versions of the target.
    """
    if named in t.versions:
        return named, t.versions[named].partition("+")[0]
    others = [(k, v) for k, v in t.versions.items() if k not in ("python", "numpy")]
    return (others[0][0], others[0][1].partition("+")[0]) if others else (t.adapter.name, "")


def _deviation(name: str, found: Sequence[Observation]) -> DeviationCount:
    # A case can be looked at; what is said of a whole run cannot.
    first = next((o for o in found if o.case.dtype != ALL), found[0])
    cells = Counter(f"{o.case.op}/{o.case.dtype}" for o in found)
    return DeviationCount(
        name,
        len(found),
        dict(sorted(cells.items())),
        dict(Counter(o.output for o in found)),
        first.id,
        _without_folders(first.message),
    )


def _failures(summary: Summary) -> list[UnexplainedFailure]:
    made = []
    for (_, op, dtype, family, output), group in summary.ranked(summary.groups)[:_FAILURES]:
        # sanity check: a group has at least one member
        assert group.worst is not None
        kinds = ", ".join(f"{n} {kind}" for kind, n in group.kinds.most_common())
        made.append(
            UnexplainedFailure(
                op,
                dtype,
                family,
                output,
                kinds,
                group.count,
                group.given,
                group.worst.id,
                _without_folders(group.worst.message),
            )
        )
    return made
