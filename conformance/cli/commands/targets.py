"""``lossproof targets``: what can be judged in this environment."""

from __future__ import annotations

import click

from lossproof.targets import exec_command
from lossproof.targets.packages import adapter_packages


def packages_command() -> int:
    """Print every adapter with the packages that it needs, those first that have them. Nothing is started."""
    every = adapter_packages()
    for adapter in every:
        if not adapter.lacking:
            click.echo(str(adapter))
    missing = [f"  {adapter}" for adapter in every if adapter.lacking]
    if missing:
        click.echo("\n".join(["not here:", *missing]))
    for name in exec_command.own_programs():
        click.echo(f"{name}: a program; lossproof targets {name} says whether it starts here (docs/targets.md)")
    click.echo("lossproof targets NAME starts one, and prints its devices, modes, ops and dtypes")
    return 0
