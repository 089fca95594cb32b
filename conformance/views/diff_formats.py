"""A comparison as text for a terminal, as Markdown for a pull request, and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lossproof.records.diff import Diff
from lossproof.records.record import json_ready
from lossproof.views.diff_tables import in_one_line, preface, sections
from lossproof.views.markdown import literal
from lossproof.views.section import Section

_NUMBERS = frozenset({"outputs", "bits", "moved"})
_NAMES = frozenset({"", "target", "op", "dtype", "output"})


def print_text(out: Console, diff: Diff, reasons: Sequence[str]) -> None:
    """Print a comparison as tables; what names files and targets is not broken in the middle of a name."""
    for line in preface(diff):
        out.print(escape(line))
    for section in sections(diff):
        out.print(_table(section))
        for note in section.notes:
            out.print(escape(f"  {note}"))
    head = f"[bold red]CHANGED[/]: {escape(', '.join(reasons))}" if reasons else "[bold green]OK[/]"
    out.print(f"{head} ({escape(in_one_line(diff))})")


def _table(section: Section) -> Table:
    table = Table(title=escape(section.title), title_justify="left")
    for name in section.columns:
        table.add_column(name, justify="right" if name in _NUMBERS else "left", no_wrap=name in _NAMES)
    for row in section.rows:
        table.add_row(*map(escape, row))
    return table


def print_markdown(out: Console, diff: Diff, reasons: Sequence[str]) -> None:
    """Print a comparison as Markdown; nothing that came from a record is markup in it."""
    lines = ["# " + literal(", ".join(reasons) if reasons else "Nothing that fails")]
    for line in [*preface(diff), in_one_line(diff) + "."]:
        lines += ["", literal(line)]
    for section in sections(diff):
        lines += ["", f"## {literal(section.title)}", "", _row(section.columns)]
        lines.append("|" + "|".join("---:" if name in _NUMBERS else "---" for name in section.columns) + "|")
        lines += map(_row, section.rows)
        lines += ["", *(f"- {literal(note)}" for note in section.notes)] if section.notes else []
    out.file.write("\n".join(lines) + "\n")


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(literal, cells)) + " |"


def print_json(out: Console, diff: Diff, reasons: Sequence[str]) -> None:
    """Print a comparison as one JSON object: every field of the comparison, and the reasons to fail."""
    out.file.write(
        json.dumps(json_ready({**asdict(diff), "bits": diff.bits, "reasons": list(reasons)}), allow_nan=False) + "\n"
    )


SHOW: dict[str, Callable[[Console, Diff, Sequence[str]], None]] = {
    "text": print_text,
    "markdown": print_markdown,
    "json": print_json,
}
