"""A comparison as titled tables of texts: what terminals and Markdown both print."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from lossproof.records.changes import Change
from lossproof.records.diff import ChangeGroup, Diff, Shift
from lossproof.views.section import Section

ROWS = 20
_SHOWN_OF_A_VALUE = 60
_TITLES = {
    "regression": "Regressions",
    "convention": "Changed conventions",
    "behaviour": "Changed error behaviour",
    "fix": "Fixes",
    "gone": "Gone cases",
    "new": "New cases",
}
# What one of them is called.
_ONE = {
    "regression": "regression",
    "convention": "changed convention",
    "behaviour": "changed error behaviour",
    "fix": "fix",
    "gone": "gone case",
    "new": "new case",
}


def sections(diff: Diff) -> Iterator[Section]:
    """List the tables of everything worth showing, what matters most first."""
    if diff.facts.header:
        rows = tuple((name, _short(a), _short(b)) for name, a, b in diff.facts.header)
        yield Section("What differs around them", ("", "before", "after"), rows)
    yield from _changes(diff, "regression")
    yield from _profiles(diff)
    for kind in ("convention", "behaviour", "fix"):
        yield from _changes(diff, kind)
    yield from _accuracy(diff)
    yield from _slower(diff)
    for kind in ("gone", "new"):
        yield from _changes(diff, kind)


def preface(diff: Diff) -> list[str]:
    """List the lines that say what is compared."""
    facts = diff.facts
    pairs = ", ".join(a if a == b else f"{a} with {b}" for a, b in facts.pairs)
    lines = [f"{facts.before} and {facts.after}: {pairs}"]
    if not facts.same_deck:
        lines.append("The decks differ; what both records have is compared.")
    lines += [f"{path} is cut short: its run did not come to its end" for path in facts.cut_short]
    if facts.left_out:
        lines.append(f"Not compared: {', '.join(facts.left_out)}")
    return lines


def in_one_line(diff: Diff) -> str:
    """Sum up the comparison in one line."""
    counts = [
        f"{n} {_TITLES[kind].lower() if n > 1 else _ONE[kind]}" for kind in _TITLES if (n := diff.counts.get(kind))
    ]
    if diff.bits:
        counts.append(f"{diff.bits} differ{'s' * (diff.bits == 1)} in bits")
    if diff.slower:
        counts.append(f"{len(diff.slower)} slower kernel{'s' * (len(diff.slower) > 1)}")
    return f"{diff.compared} outputs compared, {diff.unchanged} unchanged" + "".join(f", {c}" for c in counts)


def _changes(diff: Diff, kind: str) -> Iterator[Section]:
    groups = diff.of(kind)
    if not groups:
        return
    one_sided = kind in ("gone", "new")
    columns = ("outputs", "target", "op", "dtype", "family", "output")
    states = ("verdict",) if one_sided else ("before", "after", "fails")
    rows = tuple((*_where(g), *_states(g.first, one_sided=one_sided)) for g in groups[:ROWS])
    notes = [f"{g.first.target} {g.first.id}: {g.first.message or g.first.output}" for g in groups[:ROWS]]
    if len(groups) > ROWS:
        notes.append(f"... and {len(groups) - ROWS} more groups; --format json has them all")
    title = f"{_TITLES[kind]}: {diff.counts[kind]} in {len(groups)} group{'s' * (len(groups) > 1)}"
    yield Section(title, columns + states, rows, tuple(notes) if not one_sided or len(groups) > ROWS else ())


def _where(g: ChangeGroup) -> tuple[str, ...]:
    case = g.first.case
    return str(g.count), g.first.target, case.op, case.dtype, case.family, g.first.output


def _states(c: Change, *, one_sided: bool) -> tuple[str, ...]:
    if one_sided:
        return (c.before or c.after,)
    clause = f"clause {c.clause}: " if c.clause.isdigit() else f"{c.clause}: " if c.clause else ""
    return clause + c.before, c.after, c.fails


def _profiles(diff: Diff) -> Iterator[Section]:
    if diff.profiles:
        rows = tuple((p.target, p.op, p.dtype, p.before, p.after, str(p.outputs), p.first) for p in diff.profiles)
        columns = ("target", "op", "dtype", "met before", "met after", "outputs", "first")
        yield Section("Error profiles (the strictest that all outputs meet)", columns, rows)


def _accuracy(diff: Diff) -> Iterator[Section]:
    if not diff.shifts:
        return
    columns = ("target", "op", "dtype", "output", "bits", "moved", "worst share", "worst ulp", "moved most", "share")
    rows = tuple(
        (
            *(s.target, s.op, s.dtype, s.output, str(s.bits), str(s.moved)),
            *((_from_to(s.share), _ulp(s)) if s.moved else ("", "")),
            *(s.mover, _from_to(s.mover_share) if s.moved else ""),
        )
        for s in diff.shifts[:ROWS]
    )
    left = len(diff.shifts) - ROWS
    notes = (f"... and {left} more; --format json has them all",) if left > 0 else ()
    yield Section("Accuracy of outputs that differ (share of the bound)", columns, rows, notes)


def _slower(diff: Diff) -> Iterator[Section]:
    """Kernels that take several times as long as before, each in copies of its logits; no reason to fail."""
    if not diff.slower:
        return
    columns = ("target", "op", "dtype", "shape", "output", "copies before", "copies after", "slower by")
    rows = tuple(
        (s.target, s.op, s.dtype, s.shape, s.output, *(f"{c:.3g}" for c in s.copies), f"{s.factor:.1f} times")
        for s in diff.slower[:ROWS]
    )
    left = len(diff.slower) - ROWS
    notes = (f"... and {left} more; --format json has them all",) if left > 0 else ()
    yield Section("Kernels that became slower, in times of a copy of the logits (fails nothing)", columns, rows, notes)


def _ulp(s: Shift) -> str:
    return _from_to(s.ulp) if s.output == "value" else ""


def _from_to(sides: Sequence[float]) -> str:
    return f"{sides[0]:.3g} to {sides[1]:.3g}"


def _short(value: Any) -> str:
    """A value of a header, in one short line."""
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _SHOWN_OF_A_VALUE else f"{text[: _SHOWN_OF_A_VALUE - 3]}..."
