"""``lossproof sweep``."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from lossproof.cases.shard import UNDIVIDED, parse_shard
from lossproof.cases.sweeps.chunks import Part, parse_range
from lossproof.cli.kept_rows import views_and_locator
from lossproof.cli.malloc_options import spare_memory
from lossproof.cli.outputs import new_record
from lossproof.cli.printed_session import told
from lossproof.cli.shared_options import OutputOptions
from lossproof.core.errors import UsageError
from lossproof.running.resume import begun
from lossproof.running.session_options import Execution, Rules
from lossproof.running.sweeping.sweep_session import Swept, opened_sweep
from lossproof.running.sweeping.swept_before import SweptBefore
from lossproof.views.progress import progress
from lossproof.views.sweep_tables import SweepTables


def sweep_command(
    target: Sequence[str],
    *,
    kind: str,
    ops: Sequence[str],
    dtypes: Sequence[str],
    chunks: str | None,
    shard: str | None,
    seconds: float,
    workers: int,
    scheduler: str,
    keep: str | None,
    execution: Execution,
    rules: Rules,
    outputs: OutputOptions,
    resume: bool,
) -> int:
    """Sweep, print, and return the exit code."""
    if resume and not outputs.record:
        raise UsageError("--resume needs the record that is to be finished; add --record FILE")
    if resume and outputs.overwrite:
        raise UsageError("--resume finishes a record, --overwrite replaces it; give one of them")
    if workers > 1 and execution.in_process:
        raise UsageError("--in-process has its targets in this process, --workers in others; give one of them")
    if scheduler and (workers > 1 or execution.in_process):
        raise UsageError("--scheduler has workers of its own; leave out --workers and --in-process")
    if not resume:
        new_record(outputs.record, overwrite=outputs.overwrite, hint="finish it with --resume, ")
    first, last = parse_range(chunks) if chunks else (0, None)
    part = Part(
        kind=kind,
        ops=ops,
        dtypes=dtypes,
        first=first,
        last=last,
        shard=parse_shard(shard) if shard else UNDIVIDED,
    )
    others, place = views_and_locator(outputs, keep)
    spare_memory()
    with contextlib.ExitStack() as stack:
        shown = stack.enter_context(progress(quiet=outputs.quiet))
        opening = opened_sweep(
            target,
            part,
            execution=execution,
            rules=rules,
            workers=workers,
            seconds=seconds,
            scheduler=scheduler,
            tell=shown.stage,
        )
        session = stack.enter_context(contextlib.closing(opening))
        source, tape = session.source, None
        # sanity check: a session that was opened here sweeps
        assert isinstance(source, Swept)
        if outputs.record and resume and begun(outputs.record):
            tape = source.before = SweptBefore(outputs.record, session.header, source.chunks)
        tables = SweepTables(outputs.quiet, place, lambda: source.unbegun)
        return told(session, outputs, others, tape, shown, tables)
