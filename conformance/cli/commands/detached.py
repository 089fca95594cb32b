"""``lossproof deck export`` and ``lossproof judge``: a deck for another machine, and its answers."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from lossproof.cases.catalogue import select
from lossproof.cli.outputs import chosen as views_of
from lossproof.cli.session import Show, judge_all
from lossproof.core.errors import UsageError
from lossproof.records.record import Writer
from lossproof.running.detached import AnswerFile, export
from lossproof.running.header import record_header
from lossproof.targets.target import Target


def export_command(
    folder: str,
    *,
    deck: str,
    seed: int,
    ops: Sequence[str],
    dtypes: Sequence[str],
    families: Sequence[str],
    timeout: float,
) -> int:
    """Write the folder and say what to do with it."""
    calls = select(deck, seed, ops, dtypes, families)
    facts = {"deck": deck, "seed": seed, "ops": list(ops), "dtypes": list(dtypes), "families": list(families)}
    n = export(Path(folder), calls, facts, timeout)
    click.echo(f"{folder}: {n} calls, the adapters, and README.txt with the command that evaluates them")
    return 0


def judge_command(
    answers: Sequence[str], *, record: str | None, waivers: Sequence[str], strict: bool, quiet: bool, **views: Any
) -> int:
    """Judge files of answers as a run judges targets; the exit code."""
    with contextlib.ExitStack() as stack:
        heard = [AnswerFile(path) for path in answers]
        for one in heard:
            stack.callback(one.close)
        made = heard[0].deck["arguments"]
        for one in heard[1:]:
            if one.deck["digest"] != heard[0].deck["digest"]:
                raise UsageError(f"{one.path} and {heard[0].path} answer different decks; judge them one by one")
        calls = select(made["deck"], made["seed"], made["ops"], made["dtypes"], made["families"])
        for one in heard:
            one.expect(calls)
        chosen = targets_of_files(heard)
        filters = {"op": made["ops"], "dtype": made["dtypes"], "family": made["families"]}
        where = {"record": record} if record else {"deck": made["deck"], "seed": made["seed"]}
        others = views_of(**views, options=where)
        head = record_header(chosen, calls, deck=made["deck"], seed=made["seed"], filters=filters)
        writer = stack.enter_context(Writer(record, head)) if record else None
        missing = [
            f"{one.missing} calls without an answer in {one.path}; finish it with --after"
            for one in heard
            if one.missing
        ]
        complete = made["deck"] == "default" and not any(filters.values()) and not missing
        how = Show(waivers, strict=strict, quiet=quiet, complete=complete, reasons=missing, chosen=others)
        return judge_all(chosen, calls, writer, None, how, head)


def targets_of_files(heard: Sequence[AnswerFile]) -> list[Target]:
    """Each file as a target; several of the same name are told apart by their files."""
    found = [Target(one, one.hello["mode"], one.hello["device"]) for one in heard]
    names = [t.name for t in found]
    return [
        t if names.count(t.name) == 1 else Target(one, t.mode, t.device, one.path.name)
        for one, t in zip(heard, found, strict=True)
    ]
