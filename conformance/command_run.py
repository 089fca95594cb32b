"""``lossproof run``: targets, deck, record and tables around the one loop."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import asdict

import click

from lossproof import choose
from lossproof.checks import outputs
from lossproof.cli import build
from lossproof.evidence import header
from lossproof.record import Writer
from lossproof.run import Clock
from lossproof.run import run as observe_all
from lossproof.summary import Summary
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
) -> int:
    """Run, print, and return the exit code."""
    calls = build(profile, seed, ops, dtypes, families)
    chosen = choose.targets(target)
    names = [t.name for t in chosen]
    absent = choose.missing(require, chosen)
    if absent:
        click.echo(f"lossproof: required but missing: {', '.join(absent)}; this run has {', '.join(names)}", err=True)
        return 1
    book = book_for(chosen, waivers)
    summary, clock, start = Summary(), Clock(), time.perf_counter()
    filters = {"op": ops, "dtype": dtypes, "family": families}
    complete = profile == "default" and not any(filters.values())
    with contextlib.ExitStack() as stack:
        writer = None
        if record:
            writer = stack.enter_context(
                Writer(record, header(chosen, calls, profile=profile, seed=seed, filters=filters))
            )
        total = len(chosen) * sum(len(outputs(c)) for c in calls)
        tick = stack.enter_context(progress(total, quiet=quiet))
        interrupted = False
        try:
            for raw in observe_all(chosen, calls, clock):
                o = book.mark(raw)
                if writer:
                    writer.write(o)
                summary.add(o)
                tick(o, summary.failed)
        except KeyboardInterrupt:
            interrupted = True
        if writer and not interrupted:
            writer.end(
                {"seconds": time.perf_counter() - start, "clock": asdict(clock), "verdicts": dict(summary.total)}
            )
    out = console()
    reasons = summary.reasons(book, strict=strict, complete=complete and not interrupted)
    show(out, summary, book, clock, complete=complete and not interrupted, quiet=quiet)
    if interrupted:
        click.echo(f"lossproof: interrupted after {sum(summary.total.values())} of {total} outputs", err=True)
        return 130
    out.print(last_line(summary, names, reasons))
    return 1 if reasons else 0
