"""The terminal shows a run that is over: its tables, and its last line."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table

from lossproof.core.command_line import recorded_place, showing_command
from lossproof.core.observation import VERDICTS
from lossproof.records.waivers import Book
from lossproof.running.summary import FindingGroup, GroupKey, Summary, behaviours
from lossproof.running.timing import Clock
from lossproof.running.withheld import withheld_text
from lossproof.views.fitted import fitted
from lossproof.views.kernel_table import kernel_table
from lossproof.views.shown_names import shown_names
from lossproof.views.time_table import time_table

GROUPS_SHOWN = 20
_NO_TERMINAL = 200
_COLOURS = {"pass": "green", "convention": "green", "waived": "yellow", "suspect": "yellow", "unsupported": "dim"}


def console(*, stderr: bool = False) -> Console:
    """Open a console that breaks no line of text: a terminal wraps by itself, and what it wraps can be copied.

    Tables take the width of the terminal, or 200 letters where there is none. Colons stand around devices, as in
    ``tinygrad:cl: 3 fail``, and make no emoji of them. The variable NO_COLOR leaves no style at all.
    """
    plain = {"color_system": None} if os.environ.get("NO_COLOR") else {}
    out = _Console(stderr=stderr, highlight=False, emoji=False, **plain)  # type: ignore[arg-type]
    if not out.file.isatty():
        out.width = _NO_TERMINAL
    return out


class _Console(Console):
    """A console that leaves it to the command what a reader who has gone away means for its exit code, and that fits
    tables to its width."""

    def on_broken_pipe(self) -> None:
        """Raise the BrokenPipeError that is being handled, where rich would end the process with exit code 1."""
        raise

    def print(self, *objects: Any, **options: Any) -> None:
        """Print texts in lines of any length, and tables in the width that there is."""
        if len(objects) == 1 and isinstance(objects[0], Table):
            for part in fitted(self, objects[0], self.width):
                super().print(part, soft_wrap=True)
        else:
            super().print(*objects, **{"soft_wrap": True, **options})


def print_run(
    out: Console,
    summary: Summary,
    book: Book,
    clock: Clock,
    *,
    complete: bool,
    header: Mapping[str, Any],
    quiet: bool = False,
) -> None:
    """Print everything about a run but its last line; ``quiet`` leaves the failures only.

    ``header`` is that of its record: it names the adapters and the deck.
    """
    names, place = shown_names(header), recorded_place(header)
    failures = _failures("Failures", summary.groups, summary, place, names)
    if quiet:
        for part in failures:
            out.print(part)
        return
    for part in (
        _cells(summary, names),
        *failures,
        *_failures(
            "Suspects (inside the bound, outside the statistical grade)", summary.suspects, summary, place, names
        ),
        *_waivers(summary, book, complete=complete),
        *_conventions(summary, names),
        *_agreement(summary),
        *_unsupported(summary, names),
        *_notes(summary, names),
        *kernel_table(clock.kernels, names),
        *time_table(clock, names),
    ):
        out.print(part)


def _cells(summary: Summary, names: Mapping[str, str]) -> Table:
    table = Table(title="Observations", title_justify="left")
    for name in ("target", "op", "dtype"):
        table.add_column(name, no_wrap=True)
    shown = [v for v in VERDICTS if summary.total[v]]
    for name in (*shown, "worst share", "worst ulp of value"):
        table.add_column(name, justify="right")
    table.add_column("declared")
    table.add_column("met")
    for (target, op, dtype), cell in sorted(summary.cells.items()):
        counts = [_count(v, cell.verdicts[v]) for v in shown]
        met = cell.met or ("" if not cell.declared else "[red]none[/]")
        numbers = [f"{cell.share:.3g}", f"{cell.ulp:.3g}"] if cell.declared else ["", ""]
        table.add_row(escape(names.get(target, target)), op, dtype, *counts, *numbers, cell.declared, met)
    return table


def _count(verdict: str, n: int) -> str:
    return f"[{_COLOURS.get(verdict, 'bold red')}]{n}[/]" if n else ""


def _failures(
    title: str,
    groups: dict[GroupKey, FindingGroup],
    summary: Summary,
    place: Mapping[str, object],
    names: Mapping[str, str],
) -> Iterator[RenderableType]:
    if not groups:
        return
    ranked = summary.ranked(groups)
    count = sum(g.count for g in groups.values())
    yield f"[bold]{title}[/]: {count} in {len(groups)} group{'s' * (len(groups) != 1)}, worst first"
    for (target, op, dtype, family, output), group in ranked[:GROUPS_SHOWN]:
        # sanity check: a group has at least one member
        assert group.worst is not None
        kinds = ", ".join(f"{n} {kind}" for kind, n in group.kinds.most_common())
        head = f"[red]{escape(names.get(target, target))}[/] {op} {dtype} [bold]{escape(family)}[/] {output}"
        yield f"  {head}: {kinds} of {group.given}"
        yield escape(f"    {group.worst.message}")
        yield escape(f"    {showing_command(group.worst.id, target, place)}")
    if len(ranked) > GROUPS_SHOWN:
        yield f"  ... and {len(ranked) - GROUPS_SHOWN} more groups; --record FILE keeps them all"


def _waivers(summary: Summary, book: Book, *, complete: bool) -> Iterator[RenderableType]:
    lines = []
    for name, count in sorted(book.waived.items()):
        w = book.named(name)
        lines.append(escape(f"  {name}: {count} waived: {w.reason} ({w.issue})"))
    for (target, name), o in sorted(summary.unexpected.items()):
        w = book.named(name)
        note = "" if book.is_seen(w) else f" (seen in {', '.join(w.seen)} only; not this version)"
        lines.append(escape(f"  {name}: unexpected pass on {target}, first {o.id} {o.output}{note}"))
    for w in book.stale() if complete else []:
        note = "" if book.is_seen(w) else f"; seen in {', '.join(w.seen)}, not this version"
        lines.append(escape(f"  {w.name}: stale, nothing matched ({w.source}{note})"))
    if lines:
        yield "[bold]Waivers[/]"
        yield from lines


def _conventions(summary: Summary, shown: Mapping[str, str]) -> Iterator[RenderableType]:
    if not summary.conventions:
        return
    names = sorted({t for by_target in summary.conventions.values() for t in by_target})
    table = Table(title="Conventions shown (specification, section 4)", title_justify="left")
    for name in ("clause", "op", "output"):
        table.add_column(name, no_wrap=True)
    for name in names:
        table.add_column(escape(shown.get(name, name)))
    for (clause, op, output), by_target in sorted(summary.conventions.items(), key=lambda i: (i[0][0].rjust(2), i[0])):
        if all(how == "bitwise" for by_dtype in by_target.values() for counts in by_dtype.values() for how in counts):
            continue  # a grade that every target has is no news
        table.add_row(
            clause, op, output, *[escape(behaviours(by_target.get(n, {}))) if n in by_target else "" for n in names]
        )
    yield table


def _agreement(summary: Summary) -> Iterator[RenderableType]:
    """Where modes and devices of one implementation differ beyond what the table of conventions says."""
    if summary.listed:
        yield "[bold]Modes and devices[/] (recorded, no failure)"
        yield from (escape(f"  {line}") for line in summary.listed)


def _notes(summary: Summary, names: Mapping[str, str]) -> Iterator[RenderableType]:
    if summary.notes:
        yield "[bold]Remarkable[/]"
        for (target, note), (n, first) in sorted(summary.notes.items()):
            yield escape(f"  {names.get(target, target)}: {n} outputs, first of {first}: {note}")


def _unsupported(summary: Summary, names: Mapping[str, str]) -> Iterator[RenderableType]:
    if summary.unsupported:
        yield "[bold]Not given[/] (outside the declared capabilities)"
        for (target, reason), n in sorted(summary.unsupported.items(), key=lambda i: (i[0][0], -i[1])):
            yield escape(f"  {names.get(target, target)}: {n} outputs: {reason}")


def last_line(
    summary: Summary, targets: Sequence[str], reasons: Sequence[str], header: Mapping[str, object] | None = None
) -> str:
    """Sum up the run in one line: verdicts, and what was withheld as its ``header`` has it."""
    total = sum(summary.total.values())
    counts = ", ".join(f"{summary.total[v]} {v}" for v in VERDICTS if summary.total[v])
    head = "[bold red]FAILED[/]: " + escape("; ".join(reasons)) if reasons else "[bold green]OK[/]"
    left_out = withheld_text(header or {})
    return f"{head} ({escape(', '.join(targets))}: {total} outputs: {counts})" + escape(
        f"; {left_out}" * bool(left_out)
    )
