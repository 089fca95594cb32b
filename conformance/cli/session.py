"""The session of a command: play, mark waivers, write, count, show."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import click

from lossproof.cli.outputs import Chosen
from lossproof.core.call import Call
from lossproof.records.compressed_text import is_compressed
from lossproof.records.record import Writer
from lossproof.records.waivers import Book, waivers_in_force
from lossproof.running.loop import run as observe_all
from lossproof.running.loop import stacked
from lossproof.running.resume import Resumed
from lossproof.running.shard import UNDIVIDED, Shard
from lossproof.running.timing import Clock
from lossproof.targets.target import Target
from lossproof.views.summary import Summary
from lossproof.views.terminal import console, last_line, print_run, progress
from lossproof.views.view import Ended, Views


@dataclass(frozen=True)
class Show:
    """How a run is shown and when it fails: the user's waivers, ``strict``, only the failures (``quiet``), whether the
    deck is ``complete`` (unfiltered, all shards), ``reasons`` to fail that no observation has, and the other views that
    were ``chosen``."""

    waivers: Sequence[str]
    strict: bool
    quiet: bool
    complete: bool
    reasons: Sequence[str] = ()
    chosen: Chosen = field(default_factory=Chosen)


def judge_all(
    chosen: Sequence[Target],
    calls: Sequence[Call],
    writer: Writer | None,
    tape: Resumed | None,
    how: Show,
    head: Mapping[str, Any],
    *,
    jobs: int = 0,
    shard: Shard = UNDIVIDED,
) -> int:
    """The loop with everything that is shown of it; the exit code. ``head`` is the header of its record."""
    book = waivers_in_force(chosen, how.waivers)
    summary, clock, start = Summary(), Clock(), time.perf_counter()
    total = len(chosen) * sum(len(c.outputs) for group in stacked(calls, shard) for c in group.calls)
    kept, interrupted, views = tape.count if tape else 0, False, Views(how.chosen.views)
    with progress(total, quiet=how.quiet) as tick:
        try:
            for i, raw in enumerate(observe_all(chosen, calls, clock, jobs=jobs, tape=tape, shard=shard)):
                o = book.mark(raw)
                if writer and i >= kept:
                    writer.write(o)
                summary.add(o)
                views.add(o)
                tick(o, summary.failed)
        except KeyboardInterrupt:
            interrupted = True
    clock.close(chosen)
    facts = {"seconds": time.perf_counter() - start, "clock": clock.facts(), "verdicts": dict(summary.total)}
    if writer and not interrupted:
        writer.end(facts)
    complete = how.complete and not interrupted
    reasons = print_report(summary, book, clock, replace(how, complete=complete))
    views.close(Ended(head, summary, book, reasons, None if interrupted else facts, chosen))
    if interrupted:
        hint = "; finish the record with --resume" if writer and not is_compressed(writer.path) else ""
        click.echo(f"lossproof: interrupted after {sum(summary.total.values())} of {total} outputs{hint}", err=True)
        return 130
    if not how.chosen.as_json:
        console().print(last_line(summary, [t.name for t in chosen], reasons))
    return 1 if reasons else 0


def print_report(summary: Summary, book: Book, clock: Clock, how: Show) -> list[str]:
    """Print everything but the last line, if it is not asked for as JSON; why the run fails."""
    if not how.chosen.as_json:
        print_run(console(), summary, book, clock, complete=how.complete, quiet=how.quiet)
    return [*how.reasons, *summary.reasons(book, strict=how.strict, complete=how.complete)]
