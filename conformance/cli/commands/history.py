"""``lossproof history``: what changed from release to release of a target, and the condensed records that say so."""

from __future__ import annotations

import contextlib
import datetime
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from lossproof.cli.commands.condense import put_condensed
from lossproof.core.errors import UsageError
from lossproof.records.record import Writer
from lossproof.running.record_sink import RecordSink
from lossproof.running.session import opened
from lossproof.running.session_options import DeckOptions, Execution, Rules
from lossproof.targets.environments import upgrade_sides
from lossproof.targets.target import spec
from lossproof.views.board.condense import condense
from lossproof.views.board.condensed import Condensed, condensed_files, read_condensed
from lossproof.views.board.release_history import (
    bounded_cells,
    by_release,
    failing,
    judged_outputs,
    release_changes,
    same_deck_releases,
)
from lossproof.views.progress import progress
from lossproof.views.terminal import console


@dataclass(frozen=True, kw_only=True)
class NewReleases:
    """Releases to be judged: their ``versions`` of a ``package``, and how environments are made for them."""

    versions: Sequence[str] = ()
    package: str = ""
    extra: Sequence[str] = ()
    python: str | None = None


def history_command(target: str, *, folder: str, new: NewReleases, size: str, overwrite: bool) -> int:
    """Judge the releases that are asked for, and print what changed when; 2 if one of them could not be judged."""
    if spec(target).environment:
        raise UsageError(f"{target} has an environment; expected NAME[+MODE][:DEVICE], and releases with --release")
    lost = 0
    for version in new.versions:
        try:
            made = _judged(target, version, new, size)
            put_condensed(made, folder, overwrite=overwrite)
        except UsageError as error:
            lost += 1
            click.echo(f"lossproof: {target} {version}: {error}", err=True)
    records = by_release(c for c in map(read_condensed, condensed_files([folder])))
    if target not in records:
        there = ", ".join(records)
        raise UsageError(f"{folder} has no condensed record of {target}; it has {there}; judge some with --release")
    _print(same_deck_releases(records[target]))
    return 2 if lost else 0


def _judged(target: str, version: str, new: NewReleases, size: str) -> list[Condensed]:
    """Judge one release in an environment of its own, which is kept, and condense its record."""
    requirement = f"{new.package or spec(target).name}=={version}"
    side = upgrade_sides.with_environment(
        upgrade_sides.side(requirement), new.extra, new.python, fresh=False, say=lambda text: click.echo(text, err=True)
    )
    execution = Execution(times_kernels=False)
    with contextlib.ExitStack() as stack:
        path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lossproof-")), "record.jsonl")
        shown = stack.enter_context(progress())
        opening = opened(
            [side.named(target)], deck=DeckOptions(size=size), execution=execution, rules=Rules(), tell=shown.stage
        )
        session = stack.enter_context(contextlib.closing(opening))
        shown.expect(session.expected)
        writer = stack.enter_context(Writer(path, session.header))
        if session.play(shown, RecordSink(writer)).facts is None:
            raise click.Abort
        made = condense(path, date=datetime.datetime.now(datetime.UTC).date().isoformat())
    # Where the mode is the first of those that are there, as backends of Keras may be, a target string leaves it out.
    return [replace(c, name=target) for c in made]


def _print(releases: Sequence[Condensed]) -> None:
    out = console()
    table = Table(title=f"Releases of {escape(releases[0].name)}", title_justify="left")
    for name in ("release", "date", "deck"):
        table.add_column(name, no_wrap=True)
    for name in ("judged", "known deviations", "failures", "worst share"):
        table.add_column(name, justify="right")
    for c in releases:
        table.add_row(c.version, c.date, str(c.deck.get("size")), *_counts(c))
    out.print(table)
    for line in _lines(releases):
        out.print(line, soft_wrap=True)


def _counts(c: Condensed) -> Iterator[str]:
    cells = bounded_cells(c).values()
    yield from (
        str(sum(map(judged_outputs, cells))),
        str(sum(w.count for w in c.waived)),
        str(sum(map(failing, cells))),
    )
    yield f"{max((cell.share_passed for cell in cells), default=0.0):.3g}"


def _lines(releases: Sequence[Condensed]) -> Iterator[str]:
    step = ("", "")
    for change in release_changes(releases):
        if (change.before, change.after) != step:
            step = (change.before, change.after)
            yield f"[bold]{escape(change.before)} to {escape(change.after)}[/]"
        arrow = f": {change.was} -> {change.now}" if change.now else ""
        yield escape(f"  {change.kind}, {change.where}{arrow}")
    if step == ("", "") and len(releases) > 1:
        yield "Nothing changed"
