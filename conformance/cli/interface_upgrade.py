"""The commands that compare releases: upgrade and bisect. Options only; the work is imported when a command runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from lossproof.cli.interface_records import WAIVERS
from lossproof.records.diff_options import DIFF_FORMATS, LEVELS

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
_DECK: tuple[_Decorator, ...] = (
    click.option("--deck", default="default", show_default=True, metavar="NAME", help="Size of the deck."),
    click.option("--seed", default=0, show_default=True, type=int, metavar="N", help="Seed of the deck."),
)
_ENVIRONMENT: tuple[_Decorator, ...] = (
    click.option(
        "--with",
        "extra",
        multiple=True,
        metavar="REQUIREMENT",
        help="Install this into every environment, too, such as 'numpy<2' (repeatable).",
    ),
    click.option(
        "--python", metavar="VERSION|PATH", help="Their Python, such as 3.10; by default the one that runs this."
    ),
    click.option(
        "--timeout",
        default=120.0,
        show_default=True,
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help="The most that one call may take, compilation included.",
    ),
)


def _options(several: Sequence[_Decorator]) -> _Decorator:
    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(several):
            command = option(command)
        return command

    return decorate


@click.command()
@click.argument("sides", nargs=-1, metavar="[BEFORE] [AFTER]")
@click.option("--from", "before", metavar="FILE", help="The requirement file of the first environment.")
@click.option("--to", "after", metavar="FILE", help="The requirement file of the second environment.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="TARGET",
    help="What to judge on both sides, such as torch+compile (repeatable); by default what they ask for.",
)
@_options(_ENVIRONMENT)
@click.option("--fresh", is_flag=True, help="Make the environments again, if they are there.")
@_options(_DECK)
@click.option("--op", "ops", multiple=True, metavar="NAME", help="Only this op (repeatable).")
@click.option("--dtype", "dtypes", multiple=True, metavar="NAME", help="Only this dtype (repeatable).")
@click.option("--family", "families", multiple=True, metavar="NAME", help="Only this family of cases (repeatable).")
@WAIVERS
@click.option(
    "--fail-on", type=click.Choice(LEVELS), default=LEVELS[0], show_default=True, help="What makes the exit code 1."
)
@click.option("--format", "form", type=click.Choice(DIFF_FORMATS), default=DIFF_FORMATS[0], show_default=True)
@click.option("--keep", metavar="FOLDER", help="Keep the two records: before.jsonl and after.jsonl.")
@click.option("--html", metavar="FILE", help="Also write the comparison as one HTML page (extra: report).")
@click.option("--jobs", default=0, type=click.IntRange(min=0), metavar="N", help="Targets at once (0: one a core).")
def upgrade(sides: tuple[str, ...], **options: Any) -> int:
    """Say what changes from one release to another: make both environments, put the same deck to both side by side,
    and compare, as lossproof diff does.

    BEFORE and AFTER are requirements such as torch==2.12.1, or targets: torch@NAME or torch@/path/to/python in an
    environment that is there, torch alone for what is installed here. Environments are kept for the next time
    (lossproof env list).
    """
    from lossproof.cli.commands.upgrade import Deck, upgrade_command
    from lossproof.targets.launch import Processes

    deck = Deck(*(options.pop(name) for name in ("deck", "seed", "ops", "dtypes", "families")))
    processes = Processes(options.pop("jobs"), options.pop("timeout"))
    return upgrade_command(sides, deck=deck, processes=processes, **options)


@click.command()
@click.argument("target")
@click.argument("id")
@click.option("--good", required=True, metavar="VERSION", help="A release where the case is as it should be.")
@click.option("--bad", required=True, metavar="VERSION", help="One where it is not; it may be the older one.")
@click.option("--output", "outputs", multiple=True, metavar="NAME", help="Only this output, such as vjp (repeatable).")
@click.option("--bits", is_flag=True, help="Other bits are a change, too.")
@click.option(
    "--package",
    metavar="NAME",
    help="The distribution whose releases are searched, such as tensorflow-cpu; by default the adapter's name.",
)
@click.option(
    "--versions",
    metavar="A,B,...",
    help="The releases in between; by default those that the package index has for that Python.",
)
@_options(_ENVIRONMENT)
@_options(_DECK)
@click.option("--record", metavar="FILE", help="Look the id up in a record, not in a deck.")
@click.option(
    "--call", "call_file", metavar="FILE", help="A call as JSON, in place of a case of the deck: ID is then -."
)
@click.option("--keep", is_flag=True, help="Keep the environments that are made.")
def bisect(target: str, id: str, **options: Any) -> int:
    """Find the first release of a framework that changed case ID for TARGET, such as jax+where.

    Makes an environment for each release that it asks, in a binary search, and prints what that release answers. A
    release that cannot be installed is passed over.
    """
    from lossproof.cli.commands.bisect import bisect_command

    return bisect_command(target, id, **options)


UPGRADE_COMMANDS = (upgrade, bisect)
