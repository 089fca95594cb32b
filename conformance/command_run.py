"""``lossproof run``: targets, deck, record and tables around the one loop."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import asdict

import click

from lossproof import choose
from lossproof.call import Call
from lossproof.checks import outputs
from lossproof.cli import build
from lossproof.evidence import header
from lossproof.launch import Processes
from lossproof.record import Writer
from lossproof.run import Clock
from lossproof.run import run as observe_all
from lossproof.summary import Summary
from lossproof.targets import Target
from lossproof.terminal import console, last_line, progress, show
from lossproof.waivers import book as book_for


def run_command(
    target: Sequence[str],
    *,
    profile: str,
    seed: int,
    record: str | None,
    ops: Sequence[str],
    dtypes: Sequence[str],
    families: Sequence[str],
    waivers: Sequence[str],
    require: Sequence[str],
    strict: bool,
    quiet: bool,
    jobs: int,
    timeout: float,
    memory: float,
    in_process: bool,
) -> int:
    """Run, print, and return the exit code."""
    calls = build(profile, seed, ops, dtypes, families)
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
        writer = None
        if record:
            head = header(chosen, calls, profile=profile, seed=seed, filters=filters)
            writer = stack.enter_context(Writer(record, head))
        complete = profile == "default" and not any(filters.values())
        return judge_all(
            chosen, calls, writer, waivers=waivers, strict=strict, quiet=quiet, complete=complete, jobs=jobs
        )


def judge_all(
    chosen: Sequence[Target],
    calls: Sequence[Call],
    writer: Writer | None,
    *,
    waivers: Sequence[str],
    strict: bool,
    quiet: bool,
    complete: bool,
    jobs: int,
) -> int:
    """The loop with everything that is shown of it; the exit code. ``complete`` decks are unfiltered."""
    book = book_for(chosen, waivers)
    summary, clock, start = Summary(), Clock(), time.perf_counter()
    total = len(chosen) * sum(len(outputs(c)) for c in calls)
    interrupted = False
    with progress(total, quiet=quiet) as tick:
        try:
            for raw in observe_all(chosen, calls, clock, jobs=jobs):
                o = book.mark(raw)
                if writer:
                    writer.write(o)
                summary.add(o)
                tick(o, summary.failed)
        except KeyboardInterrupt:
            interrupted = True
    clock.close(chosen)
    if writer and not interrupted:
        facts = {"seconds": time.perf_counter() - start, "clock": asdict(clock), "verdicts": dict(summary.total)}
        writer.end(facts)
    out = console()
    complete = complete and not interrupted
    reasons = summary.reasons(book, strict=strict, complete=complete)
    show(out, summary, book, clock, complete=complete, quiet=quiet)
    if interrupted:
        click.echo(f"lossproof: interrupted after {sum(summary.total.values())} of {total} outputs", err=True)
        return 130
    out.print(last_line(summary, [t.name for t in chosen], reasons))
    return 1 if reasons else 0
