"""``lossproof run``: targets, deck, record and tables around the one loop."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypedDict

import click

from lossproof.cases.chosen_ids import IdPatterns
from lossproof.cli.malloc_options import spare_memory
from lossproof.cli.outputs import new_record, views
from lossproof.cli.printed_session import told
from lossproof.cli.shared_options import OutputOptions
from lossproof.core.errors import UsageError
from lossproof.records.last_failed import FailureKeeper, LastFailed
from lossproof.running.loop import schedule, stacked
from lossproof.running.resume import Resumed, begun
from lossproof.running.scheduled_run import opened_scheduled
from lossproof.running.session import Live, opened
from lossproof.running.session_options import DeckOptions, Execution, Rules
from lossproof.targets import selection
from lossproof.targets.launch import cache_folder
from lossproof.views.progress import progress


class _Opening(TypedDict):
    deck: DeckOptions
    execution: Execution
    rules: Rules
    tell: Callable[[str], None]


def run_command(
    target: Sequence[str],
    *,
    deck: DeckOptions,
    execution: Execution,
    rules: Rules,
    outputs: OutputOptions,
    require: Sequence[str],
    resume: bool,
    scheduler: str = "",
    last_failed: bool = False,
    maxfail: int = 0,
) -> int:
    """Run, print, and return the exit code."""
    if resume and not outputs.record:
        raise UsageError("--resume needs the record that is to be finished; add --record FILE")
    if resume and outputs.overwrite:
        raise UsageError("--resume finishes a record, --overwrite replaces it; give one of them")
    if scheduler and (resume or execution.in_process):
        raise UsageError("--scheduler judges whole targets elsewhere; leave out --resume and --in-process")
    if not resume:
        new_record(outputs.record, overwrite=outputs.overwrite, hint="finish it with --resume, ")
    if execution.times_kernels is None:
        execution = replace(execution, times_kernels=bool(outputs.record) and deck.is_worth_timing)
    deck.check()
    if deck.peer:
        for line in deck.peer.notes():
            click.echo(line, err=outputs.as_json or outputs.quiet)
    memory = LastFailed(cache_folder(), os.getcwd(), deck.cases or f"{deck.size} {deck.seed}")
    if last_failed:
        deck = _failed_before(deck, memory)
    others = views(outputs, deck.place)
    spare_memory()
    with contextlib.ExitStack() as stack:
        shown = stack.enter_context(progress(quiet=outputs.quiet))
        asked: _Opening = {"deck": deck, "execution": execution, "rules": rules, "tell": shown.stage}
        opening = opened_scheduled(scheduler, target, **asked) if scheduler else opened(target, **asked)
        session = stack.enter_context(contextlib.closing(opening))
        targets, tape = session.source.targets, None
        absent = selection.missing_targets(require, targets)
        if absent:
            names = ", ".join(t.name for t in targets)
            click.echo(f"lossproof: required but missing: {', '.join(absent)}; this run has {names}", err=True)
            return 1
        if outputs.record and resume and begun(outputs.record):
            tape = Resumed(outputs.record, session.header, schedule(targets, stacked(session.calls)))
            source = session.source
            # sanity check: a session that was opened here runs
            assert isinstance(source, Live)
            source.tape = tape
        others["what failed, for --last-failed,"] = FailureKeeper(memory, lambda some, ids: IdPatterns(some).of(ids))
        session = replace(session, most_failures=maxfail)
        return told(session, outputs, others, tape, shown)


def _failed_before(deck: DeckOptions, memory: LastFailed) -> DeckOptions:
    """The cases of a deck that failed in the last run of this folder; the deck where none did."""
    patterns = memory.patterns()
    found = IdPatterns(patterns).of(call.id for call in deck.calls()) if patterns else []
    if not found:
        click.echo("lossproof: nothing of this deck failed in the last run here; everything is judged", err=True)
        return deck
    click.echo(f"lossproof: {len(found)} failures of the last run here are judged again", err=True)
    return replace(deck, ids=(*found,))
