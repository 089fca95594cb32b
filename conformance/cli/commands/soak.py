"""``lossproof soak``."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

from lossproof.cli.kept_rows import views_and_locator
from lossproof.cli.malloc_options import spare_memory
from lossproof.cli.outputs import new_record
from lossproof.cli.printed_session import told
from lossproof.cli.shared_options import OutputOptions
from lossproof.running.session_options import Execution, Rules
from lossproof.running.sweeping.soak import opened_soak
from lossproof.views.progress import progress
from lossproof.views.sweep_tables import SweepTables


def soak_command(
    target: Sequence[str],
    *,
    hours: float,
    seed: int | None,
    until_found: bool,
    keep: str | None,
    execution: Execution,
    rules: Rules,
    outputs: OutputOptions,
) -> int:
    """Soak, print, and return the exit code."""
    new_record(outputs.record, overwrite=outputs.overwrite)
    others, place = views_and_locator(outputs, keep)
    spare_memory()
    with contextlib.ExitStack() as stack:
        shown = stack.enter_context(progress(quiet=outputs.quiet))
        opening = opened_soak(
            target,
            hours=hours,
            seed=int(time.time()) if seed is None else seed,
            until_found=until_found,
            execution=execution,
            rules=rules,
            tell=shown.stage,
        )
        session = stack.enter_context(contextlib.closing(opening))
        return told(session, outputs, others, shown=shown, tables=SweepTables(outputs.quiet, place, lambda: 0))
