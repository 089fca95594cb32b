"""``lossproof sweep``."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lossproof.cases import kept_calls
from lossproof.cases.shard import UNDIVIDED, parse_shard
from lossproof.cases.sweeps.chunks import Part, parse_range
from lossproof.cases.sweeps.kind import is_worst
from lossproof.cli.one_arena import take_one_arena
from lossproof.cli.outputs import new_record, views
from lossproof.cli.printed_session import told
from lossproof.cli.shared_options import OutputOptions
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.records.waivers import fails
from lossproof.running.resume import begun
from lossproof.running.session import Ended
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
    keeper = Keeper(keep) if keep else None
    others = views(outputs, {})
    if keeper is not None:
        others[f"the folder {keep}"] = keeper
    take_one_arena()
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

        def place(o: Observation) -> Mapping[str, object] | None:
            return keeper.place(o) if keeper is not None else {"record": outputs.record} if outputs.record else None

        tables = SweepTables(outputs.quiet, place, lambda: source.unbegun)
        return told(session, outputs, others, tape, shown, tables)


@dataclass
class Keeper:
    """A sink that writes the calls of the smallest failing rows to a folder, each in a file of its own, and the worst
    that a search found."""

    folder: str
    paths: dict[str, Path] = field(default_factory=dict)

    def add(self, o: Observation) -> None:
        """Write the call of one observation, if it is one of them. Raises :class:`UsageError` where that fails."""
        # What else fails, with its call, is of a deck.
        wanted = fails(o) or is_worst(o.case.family)
        if wanted and isinstance(o.call, Call) and o.id not in self.paths:
            self.paths[o.id] = kept_calls.save(o.call, self.folder)

    def place(self, o: Observation) -> Mapping[str, object] | None:
        """The options that find the call of an observation; None if it is not kept."""
        return {"call_file": self.paths[o.id]} if o.id in self.paths else None

    def close(self, run: Ended) -> None:
        """Everything is written."""
