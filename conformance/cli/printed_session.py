"""A session on the command line: its record, its tables, its other views, and its exit code."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import click

from lossproof.cli.shared_options import OutputOptions
from lossproof.core.command_line import recorded_place
from lossproof.core.observation import Observation
from lossproof.records.compressed_text import is_compressed
from lossproof.records.record import Writer
from lossproof.running.record_sink import RecordSink
from lossproof.running.resume import Resumed
from lossproof.running.session import Ended, Session, Sink
from lossproof.views.terminal import console, last_line, print_run, progress


def told(session: Session, outputs: OutputOptions, views: Sequence[Sink] = (), tape: Resumed | None = None) -> int:
    """Play a session, write and show it; the exit code. The ``tape`` is the beginning of its record."""
    with contextlib.ExitStack() as stack:
        sinks: list[Sink] = []
        if outputs.record and not (tape and tape.done):
            kept = {"keep": tape.bytes, "count": tape.count} if tape else {}
            writer = stack.enter_context(Writer(outputs.record, session.header, **kept))
            sinks.append(RecordSink(writer, kept=writer.count))
        bar = stack.enter_context(progress(session.expected, quiet=outputs.quiet))
        tables = [] if outputs.as_json else [_Tables(outputs.quiet)]
        ended = session.play(*sinks, bar, *tables, *views)
    if ended.facts is None:
        done = sum(ended.summary.total.values())
        hint = "; finish the record with --resume" if outputs.record and not is_compressed(outputs.record) else ""
        click.echo(f"lossproof: interrupted after {done} of {session.expected} outputs{hint}", err=True)
        return 130
    if not outputs.as_json:
        console().print(last_line(ended.summary, [t.name for t in session.subjects], ended.reasons))
    return 1 if ended.reasons else 0


@dataclass
class _Tables:
    """The tables of a run on standard output, but its last line; ``quiet`` leaves the failures."""

    quiet: bool

    def add(self, o: Observation) -> None:
        """Nothing: the summary has it."""

    def close(self, run: Ended) -> None:
        """Print."""
        place = recorded_place(run.header)
        print_run(console(), run.summary, run.book, run.clock, complete=run.complete, place=place, quiet=self.quiet)
