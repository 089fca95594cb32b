"""``lossproof deck coverage``: how often a deck asks a target each cell of the coverage matrix."""

from __future__ import annotations

import json

import click

from lossproof.cases.coverage.matrix import coverage, unlimited
from lossproof.core.errors import UsageError
from lossproof.running.session_options import DeckOptions, Execution
from lossproof.targets import selection
from lossproof.views.coverage_tables import coverage_object, coverage_tables
from lossproof.views.terminal import console


def coverage_command(target: str | None, *, deck: DeckOptions, as_json: bool) -> int:
    """Print the matrix, and what is empty in it; the exit code is 0 whatever that is."""
    calls = deck.calls()
    if target is None:
        name, capabilities = "a target that offers everything and pays nothing", unlimited()
    else:
        chosen = selection.choose_targets([target], Execution().processes)
        try:
            (one,) = chosen
            name, capabilities = one.name, one.capabilities
        except ValueError:
            raise UsageError(f"coverage is that of one target; {target} is {len(chosen)}") from None
        finally:
            selection.close(chosen)
    found = coverage(calls, capabilities)
    if as_json:
        click.echo(json.dumps(coverage_object(found, name)))
        return 0
    out = console()
    for table in coverage_tables(found):
        out.print(table)
    empty = list(found.empty())
    for line in empty:
        out.print(f"empty: {line}", markup=False)
    out.print(f"{len(calls)} calls; {name}: {len(empty)} cells that it must be asked are empty", markup=False)
    return 0
