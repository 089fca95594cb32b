"""``lossproof waive``: drafts of waivers for what failed in a record."""

from __future__ import annotations

from pathlib import Path

import click

from lossproof.cli.warnings import warned
from lossproof.core.command_line import recorded_place
from lossproof.core.errors import UsageError
from lossproof.records.record import read_record
from lossproof.records.recorded_targets import recorded_targets
from lossproof.records.waiver_drafts import Drafts, drafts, toml
from lossproof.running.session_options import Rules


def waive_command(path: str, *, to: str | None, rules: Rules) -> int:
    """Write the drafts, or print them; the exit code is 0 if nothing failed that no waiver may hide."""
    record = read_record(path)
    several = recorded_targets(record)
    with warned():
        found = drafts(lambda: record, several, rules.book(several))
    if found.drafts:
        _put(toml(found.drafts, recorded_place(record.header)), to)
    click.echo(_said(found, to), err=True)
    return 1 if found.faults else 0


def _put(text: str, to: str | None) -> None:
    if to is None:
        click.echo(text, nl=False)
        return
    try:
        # A file that is there may have been reviewed.
        with Path(to).open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{to} exists; expected the name of a new file") from None
    except OSError as error:
        raise UsageError(f"cannot write {to}: {error.strerror or error}") from None


def _said(found: Drafts, to: str | None) -> str:
    if not found.drafts:
        text = "no failure that a waiver could speak of, and none does"
    else:
        where = f" in {to}" if to else ""
        entries = f"{len(found.drafts)} {'entry' if len(found.drafts) == 1 else 'entries'}"
        failures = f"{found.failures} failure{'s' * (found.failures != 1)}"
        text = f"{entries} for {failures}{where}; each waits for its reason and its issue"
    return f"lossproof: {text}" + (f"; {found.faults} faults that no waiver may hide" if found.faults else "")
