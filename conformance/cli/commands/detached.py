"""``lossproof deck export``, ``gpu --script`` and ``judge``: a deck for another machine, and its answers."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from lossproof.cli.outputs import new_record, views
from lossproof.cli.printed_session import told
from lossproof.cli.shared_options import OutputOptions
from lossproof.core.errors import UsageError
from lossproof.running.carried import answer_files, new_script, write_script
from lossproof.running.detached import AnswerFile, export, new_folder
from lossproof.running.header import record_header
from lossproof.running.session import Live, Session
from lossproof.running.session_options import DeckOptions, Execution, Rules
from lossproof.targets.target import Target

# What narrows a deck, as it is written.
_LISTS = ("ops", "dtypes", "families", "ids", "excluded")


def export_command(folder: str, *, deck: DeckOptions, execution: Execution) -> int:
    """Write the folder and say what to do with it."""
    new_folder(Path(folder))
    n = export(Path(folder), deck.calls(), _facts(deck), execution.timeout)
    click.echo(f"{folder}: {n} calls, the adapters, and README.txt with the command that evaluates them")
    return 0


def script_command(script: str, *, size: str, timeout: float) -> int:
    """Write the script and say what to do with it."""
    new_script(Path(script))
    deck = DeckOptions(size=size)
    n = write_script(Path(script), deck.calls(), _facts(deck), timeout)
    click.echo(f"{script}: {n} calls and the adapters; there: python {Path(script).name}; here: lossproof judge BUNDLE")
    return 0


def _facts(deck: DeckOptions) -> dict[str, Any]:
    """The arguments that make a deck again."""
    filters = {"ops": list(deck.ops), "dtypes": list(deck.dtypes), "families": list(deck.families)}
    single = {"ids": list(deck.ids), "excluded": list(deck.excluded)}
    return {"size": deck.size, "seed": deck.seed, **filters, **{name: some for name, some in single.items() if some}}


def judge_command(answers: Sequence[str], *, rules: Rules, outputs: OutputOptions) -> int:
    """Judge files of answers, and bundles of them, as a run judges targets; the exit code."""
    new_record(outputs.record, overwrite=outputs.overwrite)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        places = [p for n, given in enumerate(answers) for p in answer_files(Path(given), folder / str(n))]
        heard = [AnswerFile(path) for path in places]
        for one in heard:
            stack.callback(one.close)
        for one in heard[1:]:
            if one.deck["digest"] != heard[0].deck["digest"]:
                raise UsageError(f"{one.path} and {heard[0].path} answer different decks; judge them one by one")
        deck = _deck(heard[0])
        calls = deck.calls()
        for one in heard:
            one.expect(calls)
        several = targets_of_files(heard)
        missing = [
            f"{one.missing} calls without an answer in {one.path}; finish it with --after"
            for one in heard
            if one.missing
        ]
        session = Session(
            subjects=several,
            calls=calls,
            deck=deck,
            book=rules.book(several, calls),
            source=Live(several, calls),
            strict=rules.strict,
            header=record_header(several, calls, deck),
            shortfalls=missing,
        )
        return told(session, outputs, views(outputs, deck.place))


def _deck(one: AnswerFile) -> DeckOptions:
    """The deck that a file answers."""
    said = one.deck["arguments"]
    # An answer comes from elsewhere: of this machine's files it may name none.
    if not set(said) <= set(_LISTS) | {"size", "seed"} or not all(
        map(_is_list_of_names, (said.get(n, []) for n in _LISTS))
    ):
        raise UsageError(f"{one.path} answers a deck that this lossproof cannot make again; export it again")
    if not isinstance(said.get("size", ""), str) or not isinstance(said.get("seed", 0), int):
        raise UsageError(f"{one.path} answers a deck of size {said.get('size')!r} and seed {said.get('seed')!r}")
    return DeckOptions(**said)


def _is_list_of_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def targets_of_files(heard: Sequence[AnswerFile]) -> list[Target]:
    """Each file as a target; several of the same name are told apart by their files."""
    variables = [tuple(one.hello.get("variables", {}).items()) for one in heard]
    found = [
        Target(one, one.hello["mode"], one.hello["device"], variables=given)
        for one, given in zip(heard, variables, strict=True)
    ]
    names = [t.name for t in found]
    return [
        t if names.count(t.name) == 1 else replace(t, environment=one.path.name)
        for one, t in zip(heard, found, strict=True)
    ]
