"""``lossproof run``: targets, deck, record and tables around the one loop."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import click

from lossproof import choose, promoted
from lossproof.call import Call
from lossproof.checks import outputs
from lossproof.cli import build
from lossproof.clock import Clock
from lossproof.errors import UsageError
from lossproof.evidence import header
from lossproof.files import is_compressed
from lossproof.launch import Processes
from lossproof.record import Writer
from lossproof.resume import Tape, begun
from lossproof.run import plan, stacked
from lossproof.run import run as observe_all
from lossproof.shard import WHOLE, Shard, parse
from lossproof.summary import Summary
from lossproof.targets import Target
from lossproof.terminal import console, last_line, progress, show
from lossproof.views import Chosen, Ended, Views
from lossproof.views import chosen as views_of
from lossproof.waivers import Book
from lossproof.waivers import book as book_for


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


def run_command(
    target: Sequence[str],
    *,
    profile: str,
    seed: int,
    record: str | None,
    resume: bool,
    shard: str | None,
    ops: Sequence[str],
    dtypes: Sequence[str],
    families: Sequence[str],
    calls: Sequence[str],
    waivers: Sequence[str],
    require: Sequence[str],
    strict: bool,
    quiet: bool,
    jobs: int,
    timeout: float,
    memory: float,
    in_process: bool,
    **views: Any,
) -> int:
    """Run, print, and return the exit code."""
    if resume and not record:
        raise UsageError("--resume needs the record that is to be finished; add --record FILE")
    part = parse(shard) if shard else WHOLE
    where = {"record": record} if record else {"profile": profile, "seed": seed}
    others = views_of(**views, options=where)
    deck = promoted.along(build(profile, seed, ops, dtypes, families), calls)
    alone = in_process or choose.PROCESSES is None
    chosen = choose.targets(target, None if alone else Processes(jobs, timeout, int(memory * 2**30)))
    with contextlib.ExitStack() as stack:
        stack.callback(choose.close, chosen)
        absent = choose.missing(require, chosen)
        if absent:
            names = ", ".join(t.name for t in chosen)
            click.echo(f"lossproof: required but missing: {', '.join(absent)}; this run has {names}", err=True)
            return 1
        filters = {"op": ops, "dtype": dtypes, "family": families}
        wanted = record or others.views
        head = header(chosen, deck, profile=profile, seed=seed, filters=filters, shard=part) if wanted else {}
        resumed = record is not None and resume and begun(record)
        tape = Tape(record, head, plan(chosen, stacked(deck, part))) if record and resumed else None
        writer = None
        if record and not (tape and tape.done):
            kept = {"keep": tape.bytes, "count": tape.count} if tape else {}
            writer = stack.enter_context(Writer(record, head, **kept))
        complete = profile == "default" and not any(filters.values()) and part == WHOLE
        how = Show(waivers, strict=strict, quiet=quiet, complete=complete, chosen=others)
        return judge_all(chosen, deck, writer, tape, how, head, jobs=jobs, shard=part)


def judge_all(
    chosen: Sequence[Target],
    calls: Sequence[Call],
    writer: Writer | None,
    tape: Tape | None,
    how: Show,
    head: Mapping[str, Any],
    *,
    jobs: int = 0,
    shard: Shard = WHOLE,
) -> int:
    """The loop with everything that is shown of it; the exit code. ``head`` is the header of its record."""
    book = book_for(chosen, how.waivers)
    summary, clock, start = Summary(), Clock(), time.perf_counter()
    total = len(chosen) * sum(len(outputs(c)) for group in stacked(calls, shard) for c in group.calls)
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
    reasons = report(summary, book, clock, replace(how, complete=complete))
    views.close(Ended(head, summary, book, reasons, None if interrupted else facts, chosen))
    if interrupted:
        hint = "; finish the record with --resume" if writer and not is_compressed(writer.path) else ""
        click.echo(f"lossproof: interrupted after {sum(summary.total.values())} of {total} outputs{hint}", err=True)
        return 130
    if not how.chosen.as_json:
        console().print(last_line(summary, [t.name for t in chosen], reasons))
    return 1 if reasons else 0


def report(summary: Summary, book: Book, clock: Clock, how: Show) -> list[str]:
    """Print everything but the last line, if it is not asked for as JSON; why the run fails."""
    if not how.chosen.as_json:
        show(console(), summary, book, clock, complete=how.complete, quiet=how.quiet)
    return [*how.reasons, *summary.reasons(book, strict=how.strict, complete=how.complete)]
