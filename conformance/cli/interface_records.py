"""The commands that read records: show, diff, merge, waive. Options only; the work is imported when a command runs."""

from __future__ import annotations

from typing import Any

import click

from lossproof.cli.shared_options import MANY_NAMES, merged_output_options, rule_options
from lossproof.records.diff_options import DIFF_FORMATS, LEVELS


@click.command()
@click.argument("record")
@click.option("--op", "ops", help="Only this op (repeatable).", **MANY_NAMES)
@click.option("--dtype", "dtypes", help="Only this dtype (repeatable).", **MANY_NAMES)
@click.option("--family", "families", help="Only this family of cases (repeatable).", **MANY_NAMES)
@click.option("--target", "targets", multiple=True, metavar="TARGET", help="Only this target (repeatable).")
@click.option("--verdict", "verdicts", multiple=True, metavar="VERDICT", help="Only this verdict (repeatable).")
@click.option("--id", "ids", multiple=True, metavar="GLOB", help="Only ids like this (repeatable).")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="List the first N observations.")
@click.option(
    "--json", "as_json", is_flag=True, help="The observations as the record has them, one JSON object a line."
)
def show(record: str, **options: Any) -> int:
    """Print what a RECORD holds: the tables of its run, of those observations that the filters leave.

    With --id, --verdict or --limit the observations are listed, too, by default the first 20.
    """
    from lossproof.cli.commands.show import show_command

    return show_command(record, **options)


@click.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option(
    "--targets",
    "pairs",
    multiple=True,
    metavar="A=B",
    help="Compare target A of the first record with B of the second (repeatable); by default those of the same name.",
)
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
def diff(before: str, after: str, **options: Any) -> int:
    """Say what changed from record A to record B, case by case.

    Three levels of what may make the exit code 1, each with all of those before it:

    \b
    regression  a worse verdict, unless it is waived in B;
                another convention where the specification
                wants one choice; a lower grade or error
                profile; a case of the same deck that is gone
    convention  another choice that the specification
                leaves to each call (clauses 7, 9 and 12, an
                error or NaN in clause 13); another way to
                fail
    bits        any result that differs in a bit
    """
    from lossproof.cli.commands.diff import diff_command

    return diff_command(before, after, **options)


@click.command()
@click.argument("shards", nargs=-1, required=True)
@merged_output_options()
@rule_options()
def merge(shards: tuple[str, ...], **options: Any) -> int:
    """Make one record of the SHARDS of a run or of a sweep, and print its report: what the whole would have written and
    printed.

    All shards must be there, once each, and of the same deck or sweep, targets and versions.
    """
    from lossproof.cli.commands.merge import merge_command

    return merge_command(shards, **options)


@click.command()
@click.argument("record")
@click.option("--to", metavar="FILE", help="Write them to a new FILE, not to the terminal.")
@rule_options(strict=False)
def waive(record: str, **options: Any) -> int:
    """Draft waivers for those failures of a RECORD that no waiver speaks of.

    One entry for what likely has one cause: op, dtype, family, output, symptom. A file of drafts is refused until a
    person has filled in the reason and the issue of each entry. The exit code is 1 if there are crashes, time-outs or
    the like, which no waiver hides.
    """
    from lossproof.cli.commands.waive import waive_command

    return waive_command(record, **options)


RECORD_COMMANDS = (show, diff, merge, waive)
