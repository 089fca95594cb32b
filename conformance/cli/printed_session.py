"""A session on the command line: its record, its tables, its other views, and its exit code."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import click

from lossproof.cli.outputs import JSON
from lossproof.cli.shared_options import OutputOptions
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.records.compressed_text import is_compressed
from lossproof.records.record import Writer
from lossproof.running.guarded import Guarded, why
from lossproof.running.record_sink import RecordSink
from lossproof.running.session import Ended, Session, Sink
from lossproof.views.progress import Progress, progress
from lossproof.views.terminal import console, last_line, print_run

_PRINTED = "what is printed"
_NOWHERE = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


class Tape(Protocol):
    """The beginning of a record that is to be finished: ``bytes`` of it and ``count`` observations stay."""

    bytes: int
    count: int
    done: bool


def told(
    session: Session,
    outputs: OutputOptions,
    views: Mapping[str, Sink] | None = None,
    tape: Tape | None = None,
    shown: Progress | None = None,
    tables: Sink | None = None,
) -> int:
    """Play a session, write and show it; the exit code. The ``tape`` is the beginning of its record, ``shown`` the
    progress that has begun, ``tables`` what prints it, where the tables of a run would not do.

    ``views`` are named by what is lost where one of them fails: neither they nor a record that cannot be written to its
    end cost the verdict.
    """
    with contextlib.ExitStack() as stack:
        writer = None if outputs.record is None or (tape and tape.done) else _writer(outputs.record, session, tape)
        sinks: list[Sink] = []
        if writer is not None:
            stack.enter_context(writer)
            sinks.append(Guarded(RecordSink(writer, kept=writer.count), _lost(f"the record {outputs.record}")))
        bar = shown or stack.enter_context(progress(quiet=outputs.quiet))
        bar.expect(session.expected)
        sinks.append(Guarded(bar, _lost("the progress")))
        if not outputs.as_json:
            sinks.append(Guarded(tables or _Tables(outputs.quiet), _lost(_PRINTED)))
        sinks += [Guarded(view, _lost(what)) for what, view in (views or {}).items()]
        ended = session.play(*sinks)
    if ended.facts is None and not ended.stopped:
        done = sum(ended.summary.total.values())
        hint = "; finish the record with --resume" if writer and not is_compressed(writer.path) else ""
        click.echo(f"lossproof: interrupted after {done} of {session.expected} outputs{hint}", err=True)
        return 130
    if not outputs.as_json:
        names = [t.name for t in session.subjects]
        try:
            console().print(last_line(ended.summary, names, ended.reasons, ended.header))
            sys.stdout.flush()
        except OSError as error:
            _lost(_PRINTED)(error)
    return 1 if ended.reasons else 0


def _writer(path: str, session: Session, tape: Tape | None) -> Writer | None:
    """The writer of the record; None, and a line, where there is no place for one. A path that leads nowhere is the
    user's mistake."""
    kept = {"keep": tape.bytes, "count": tape.count} if tape else {}
    try:
        return Writer(path, session.header, **kept)
    except UsageError as error:
        cause = error.__cause__
        if not isinstance(cause, OSError) or isinstance(cause, _NOWHERE):
            raise
        _lost(f"the record {path}")(cause)
        return None


def _lost(what: str) -> Callable[[Exception], None]:
    """Say that something is lost, and go on. A reader of the tables who goes away has seen enough (``| head``)."""

    def say(error: Exception) -> None:
        if what in (_PRINTED, JSON):
            # What is left in the buffer has nowhere to go, and would be tried again at the end of the process.
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            with contextlib.suppress(OSError):
                click.echo(f"lossproof: {what} is lost: {why(error)}", err=True)

    return say


@dataclass
class _Tables:
    """The tables of a run on standard output, but its last line; ``quiet`` leaves the failures."""

    quiet: bool

    def add(self, o: Observation) -> None:
        """Nothing: the summary has it."""

    def close(self, run: Ended) -> None:
        """Print."""
        out, s = console(), run.summary
        print_run(out, s, run.book, run.clock, complete=run.complete, header=run.header, quiet=self.quiet)
