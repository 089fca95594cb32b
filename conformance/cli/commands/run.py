"""``lossproof run``: targets, deck, record and tables around the one loop."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import click

from lossproof.cases import kept_calls
from lossproof.cases.catalogue import select
from lossproof.cli.outputs import chosen as views_of
from lossproof.cli.session import Show, judge_all
from lossproof.core.errors import UsageError
from lossproof.records.record import Writer
from lossproof.running.header import record_header
from lossproof.running.loop import schedule, stacked
from lossproof.running.resume import Resumed, begun
from lossproof.running.shard import UNDIVIDED, parse_shard
from lossproof.targets import selection
from lossproof.targets.launch import Processes


def run_command(
    target: Sequence[str],
    *,
    deck: str,
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
    part = parse_shard(shard) if shard else UNDIVIDED
    where = {"record": record} if record else {"deck": deck, "seed": seed}
    others = views_of(**views, options=where)
    asked = kept_calls.along(select(deck, seed, ops, dtypes, families), calls)
    alone = in_process or selection.PROCESSES is None
    chosen = selection.choose_targets(target, None if alone else Processes(jobs, timeout, int(memory * 2**30)))
    with contextlib.ExitStack() as stack:
        stack.callback(selection.close, chosen)
        absent = selection.missing_targets(require, chosen)
        if absent:
            names = ", ".join(t.name for t in chosen)
            click.echo(f"lossproof: required but missing: {', '.join(absent)}; this run has {names}", err=True)
            return 1
        filters = {"op": ops, "dtype": dtypes, "family": families}
        wanted = record or others.views
        head = record_header(chosen, asked, deck=deck, seed=seed, filters=filters, shard=part) if wanted else {}
        resumed = record is not None and resume and begun(record)
        tape = Resumed(record, head, schedule(chosen, stacked(asked, part))) if record and resumed else None
        writer = None
        if record and not (tape and tape.done):
            kept = {"keep": tape.bytes, "count": tape.count} if tape else {}
            writer = stack.enter_context(Writer(record, head, **kept))
        complete = deck == "default" and not any(filters.values()) and part == UNDIVIDED
        how = Show(waivers, strict=strict, quiet=quiet, complete=complete, chosen=others)
        return judge_all(chosen, asked, writer, tape, how, head, jobs=jobs, shard=part)
