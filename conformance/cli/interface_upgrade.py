"""The commands that compare releases: upgrade and bisect. Options only; the work is imported when a command runs."""

from __future__ import annotations

from typing import Any

import click

from lossproof.cli.shared_options import OVERWRITE, case_options, deck_options, execution_options, rule_options, several
from lossproof.records.diff_options import DIFF_FORMATS, LEVELS

ENVIRONMENT_OPTIONS = several(
    (
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
    )
)


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
@ENVIRONMENT_OPTIONS
@click.option("--fresh", is_flag=True, help="Make the environments again, if they are there.")
@deck_options()
@rule_options(strict=False)
@click.option(
    "--fail-on", type=click.Choice(LEVELS), default=LEVELS[0], show_default=True, help="What makes the exit code 1."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(DIFF_FORMATS),
    default=DIFF_FORMATS[0],
    show_default=True,
    help="How the differences are printed.",
)
@click.option("--keep", metavar="FOLDER", help="Keep the two records: before.jsonl and after.jsonl.")
@OVERWRITE
@click.option("--html", metavar="FILE", help="Also write the comparison as one HTML page (extra: report).")
@execution_options(cache=True, kernel_times=True)
def upgrade(sides: tuple[str, ...], **options: Any) -> int:
    """Say what changes from one release to another: make both environments, put the same deck to both side by side,
    and compare, as lossproof diff does.

    BEFORE and AFTER are requirements such as torch==2.12.1, or targets: torch@NAME or torch@/path/to/python in an
    environment that is there, torch alone for what is installed here. Environments are kept for the next time
    (lossproof env list).
    """
    from lossproof.cli.commands.upgrade import DiffOptions, Sides, upgrade_command

    names = ("before", "after", "targets", "extra", "python", "fresh")
    both = Sides(given=sides, **{name: options.pop(name) for name in names})
    comparison = DiffOptions(**{name: options.pop(name) for name in ("fail_on", "form", "keep", "overwrite", "html")})
    return upgrade_command(both, comparison=comparison, **options)


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
@ENVIRONMENT_OPTIONS
@execution_options(jobs=False)
@case_options()
@click.option("--keep", is_flag=True, help="Keep the environments that are made.")
def bisect(target: str, id: str, **options: Any) -> int:
    """Find the first release of a framework that changed case ID for TARGET, such as jax+where.

    Makes an environment for each release that it asks, in a binary search, and prints what that release answers. A
    release that cannot be installed is passed over.
    """
    from lossproof.cli.commands.bisect import Search, bisect_command

    place, execution = options.pop("place"), options.pop("execution")
    return bisect_command(target, id, search=Search(**options), place=place, execution=execution)


UPGRADE_COMMANDS = (upgrade, bisect)
