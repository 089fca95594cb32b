"""``lossproof repro ID``: a short program that needs the framework alone, or a report to its authors around it."""

from __future__ import annotations

from functools import partial
from itertools import groupby
from pathlib import Path

import click

from lossproof.cli.named_target import started_targets
from lossproof.core.call import Call
from lossproof.core.case_id import CaseId, is_of_check, is_of_implementation
from lossproof.core.command_line import command
from lossproof.core.errors import UsageError
from lossproof.core.json_text import whole_text
from lossproof.records.record import read_record
from lossproof.records.waivers import shipped
from lossproof.repro.bug_report import issue
from lossproof.repro.convention_program import apart
from lossproof.repro.find import CasePlace, find_call
from lossproof.repro.program import Reproducer, reproduce
from lossproof.targets import selection
from lossproof.targets.target import Target


def repro_command(
    id: str | None,
    *,
    target: str | None,
    output: str,
    place: CasePlace,
    simplify: bool,
    as_issue: bool,
    file: str | None,
) -> int:
    """Write the program, or the report."""
    place = place.resolved()
    if id and place.call_file is None and is_of_implementation(id):
        chosen = selection.choose_targets([target] if target else [], selection.PROCESSES)
        search, asked = partial(_apart, id, chosen, target, place), id
    else:
        call = find_call(id, place)
        asked = call.id
        names = [target] if target else _recorded(call, place.record) if place.record else []
        op = call.outline.op
        chosen = started_targets(target, op) if target else selection.choose_targets(names, selection.PROCESSES)
        options: dict[str, object] = {
            "deck": place.deck,
            "seed": place.seed,
            "call_file": place.call_file,
            "cases": place.cases,
        }
        said = target if target != "all" else None
        search = partial(_first, call, chosen, output, options, simplify=simplify, said=said)
    try:
        found = search()
    finally:
        selection.close(chosen)
    waivers = {w.name: w for w in shipped([found.target.adapter.name])}
    text = issue(found, waivers.get(found.observation.waiver)) if as_issue else found.text
    _write(text, file)
    if not found.shows:
        # The call of the program is cut down to one output, which makes another id of it.
        where = f"{found.target.name} has {found.observation.verdict} on {found.observation.output} of {asked}"
        click.echo(f"lossproof: the defect does not show: {where}", err=True)
    return 0


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
        line = command("repro", call.id, said or t.name, output=output, simplify=simplify, **options)
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


def _apart(id: str, chosen: list[Target], said: str | None, place: CasePlace) -> Reproducer:
    """The first implementation in whose targets the dtypes differ, or else the modes and devices among themselves.

    Targets that are started on the way are added to the ``chosen``.
    """
    from lossproof.cases.catalogue import select

    calls = select(place.deck, place.seed, (CaseId.parse(id).op,), (), ())
    by_name = groupby(sorted(chosen, key=lambda t: t.implementation), key=lambda t: t.implementation)
    wrong: list[UsageError] = []
    for name, several in [(name, list(group)) for name, group in by_name]:
        line = command("repro", id, said or name, deck=place.deck, seed=place.seed)
        try:
            return apart(id, several, calls, line)
        except UsageError as error:
            wrong.append(error)
        every = [t for t in selection.start_every_mode(several[:1], selection.PROCESSES) if isinstance(t, Target)]
        chosen += [t for t in every if t not in several]
        if len(every) > len(several):
            try:
                return apart(id, every, calls, line)
            except UsageError as error:
                wrong.append(error)
    raise wrong[-1]


def _recorded(call: Call, path: str) -> list[str]:
    """The targets of a record on which a case did not pass."""
    names = [o.target for o in read_record(path) if o.id == call.id and o.keeps_call]
    if not names and not is_of_check(call.id):
        raise UsageError(f"{call.id} passed on every target of {path}; say which one with --target")
    return list(dict.fromkeys(names))


def _write(text: str, file: str | None) -> None:
    if file is None or file == "-":
        click.echo(text, nl=False)
        return
    try:
        Path(file).write_text(whole_text(text), "utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror or error}") from None
