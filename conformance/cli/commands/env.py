"""``lossproof env``: environments with other releases, for targets such as ``torch@NAME``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from lossproof.targets.environments import store


def create_command(name: str, requirements: Sequence[str], *, python: str | None, force: bool) -> int:
    """Make an environment, or keep the one that is there."""
    made, is_new = store.create(
        name, requirements, python=python, force=force, say=lambda text: click.echo(text, err=True)
    )
    click.echo(f"{made} ({'made' if is_new else 'kept'}; judge it with TARGET@{made.name})")
    return 0


def list_command() -> int:
    """One line for each environment."""
    found = store.environments()
    for environment in found:
        click.echo(f"{environment} ({environment.created[:10]})")
    if not found:
        click.echo("no environments; make one: lossproof env create NAME REQUIREMENT...")
    return 0


def remove_command(names: Sequence[str]) -> int:
    """Delete environments."""
    for name in names:
        store.remove(name)
        click.echo(f"removed {name}")
    return 0
