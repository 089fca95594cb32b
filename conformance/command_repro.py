"""``lossproof repro ID``: a short program that needs the framework alone, or a report to its authors around it."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from lossproof import choose
from lossproof.call import Call
from lossproof.checks import ERROR, RELATION
from lossproof.errors import UsageError
from lossproof.explain import find
from lossproof.issue import issue
from lossproof.record import read
from lossproof.reproduce import Reproducer, reproduce
from lossproof.targets import Target
from lossproof.waivers import shipped


def repro_command(
    id: str | None,
    *,
    target: str | None,
    output: str,
    record: str | None,
    profile: str,
    seed: int,
    call_file: str | None,
    simplify: bool,
    as_issue: bool,
    file: str | None,
) -> int:
    """Write the program, or the report."""
    call = find(id, profile=profile, seed=seed, record=record, call_file=call_file)
    names = [target] if target else _recorded(call, record) if record else []
    chosen = choose.targets(names, choose.PROCESSES)
    try:
        found = _first(
            call,
            chosen,
            output,
            {"profile": profile, "seed": seed, "call_file": call_file},
            simplify=simplify,
            said=target if target != "all" else None,
        )
    finally:
        choose.close(chosen)
    waivers = {w.name: w for w in shipped([found.target.adapter.name])}
    text = issue(found, waivers.get(found.observation.waiver)) if as_issue else found.text
    _write(text, file)
    if not found.shows:
        verdict = found.observation.verdict
        click.echo(f"lossproof: the defect does not show: {found.target.name} has {verdict} on {call.id}", err=True)
    return 0


def command(call: Call, target: str, **options: object) -> str:
    """The command line that writes the program of a case; options at their defaults are left out."""
    words = ["lossproof", "repro"]
    given = options.pop("call_file", None)
    words += ["--call", str(given)] if given else [call.id]
    words += ["--target", target]
    for name, value in options.items():
        if value is True:
            words.append(f"--{name}")
        elif value and value != "default":
            words += [f"--{name}", str(value)]
    return shlex.join(words)


def _first(
    call: Call,
    chosen: list[Target],
    output: str,
    options: dict[str, object],
    *,
    simplify: bool,
    said: str | None,
) -> Reproducer:
    """The first target that shows a defect, or else the first one.

    The command names a target as it was ``said``: which mode the name of an adapter stands for may depend on what is
    installed.
    """
    found: list[Reproducer] = []
    wrong: list[UsageError] = []
    for t in chosen:
        line = command(call, said or t.name, output=output, simplify=simplify, **options)
        try:
            found.append(reproduce(call, t, line, output=output, simplify=simplify))
        except UsageError as error:
            wrong.append(error)
            continue
        if found[-1].shows:
            return found[-1]
    if not found:
        raise wrong[0]
    return found[0]


def _recorded(call: Call, path: str) -> list[str]:
    """The targets of a record on which a case did not pass."""
    names = [o.target for o in read(path) if o.id == call.id and o.call is not None]
    if not names and not {RELATION, ERROR} & set(call.id.split("/")):
        raise UsageError(f"{call.id} passed on every target of {path}; say which one with --target")
    return list(dict.fromkeys(names))


def _write(text: str, file: str | None) -> None:
    if file is None or file == "-":
        click.echo(text, nl=False)
        return
    try:
        Path(file).write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror or error}") from None
