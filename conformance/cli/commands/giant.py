"""``lossproof giant``."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from lossproof.cli.outputs import new_record, views
from lossproof.cli.printed_session import told
from lossproof.cli.shared_options import OutputOptions
from lossproof.running.session_options import Execution, Rules
from lossproof.running.sweeping.giant_session import opened_giants
from lossproof.targets.launch import physical_memory
from lossproof.views.giant_tables import GiantTables
from lossproof.views.progress import progress

_GIB = 2**30


def giant_command(
    target: Sequence[str],
    *,
    cases: Sequence[str],
    ops: Sequence[str],
    dtypes: Sequence[str],
    memory: float,
    timeout: float,
    in_process: bool,
    rules: Rules,
    outputs: OutputOptions,
) -> int:
    """Ask, print, and return the exit code."""
    new_record(outputs.record, overwrite=outputs.overwrite)
    # What a call may take is asked before it; the limit of a process is then the machine's own.
    execution = Execution(timeout=timeout, memory=physical_memory() / _GIB, in_process=in_process)
    with contextlib.ExitStack() as stack:
        shown = stack.enter_context(progress(quiet=outputs.quiet))
        opening = opened_giants(
            target,
            cases=cases,
            ops=ops,
            dtypes=dtypes,
            execution=execution,
            rules=rules,
            most=int(memory * _GIB),
            tell=shown.stage,
        )
        session = stack.enter_context(contextlib.closing(opening))
        return told(session, outputs, views(outputs, {}), shown=shown, tables=GiantTables(outputs.quiet))
