"""The command that sweeps. Options only; the work is imported when it runs."""

from __future__ import annotations

from typing import Any

import click

from lossproof.cli.shared_options import (
    MANY_NAMES,
    RECORD_AS_OUTPUT,
    execution_options,
    output_options,
    rule_options,
)

_KEEP = click.option(
    "--keep", metavar="FOLDER", help="Write the smallest failing rows to FOLDER, for lossproof run --calls."
)


@click.command()
@click.argument("target", nargs=-1)
@click.option(
    "--kind",
    default="gaps16",
    show_default=True,
    metavar="NAME",
    help="What is swept: gaps16, gaps32, pairs16, widths, batches or search.",
)
@click.option("--op", "ops", help="Only this op (repeatable).", **MANY_NAMES)
@click.option("--dtype", "dtypes", help="Only this dtype (repeatable).", **MANY_NAMES)
@click.option("--chunks", metavar="A-B", help="Only the chunks with these numbers, from 0, of each op and dtype.")
@click.option("--shard", metavar="I/N", help="Only every N-th of these chunks, from the I-th on.")
@click.option(
    "--seconds",
    default=0.0,
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Begin no chunk after so many (0: all are).",
)
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes that play chunks, each with targets of its own.",
)
@click.option(
    "--scheduler", default="", metavar="ADDRESS", help="Its workers play them; local: new ones here (extra: cluster)."
)
@_KEEP
@output_options(record=RECORD_AS_OUTPUT)
@click.option("--resume", is_flag=True, help="Finish the record of a sweep that was cut short, if there is one.")
@rule_options()
@execution_options(limits=True)
def sweep(target: tuple[str, ...], **options: Any) -> int:
    """Ask every input of a kind, such as every 16-bit number as the gap between logits, of every op. TARGET is as for
    lossproof run.

    Chunks of it are known by their numbers, and the same everywhere. What fails is looked for in the fewest rows.
    """
    from lossproof.cli.commands.sweep import sweep_command

    return sweep_command(target, **options)


@click.command()
@click.argument("target", nargs=-1)
@click.option(
    "--hours",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    metavar="HOURS",
    help="Begin nothing after so many.",
)
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="The first seed; by default one from the clock.")
@click.option("--until-found", is_flag=True, help="Stop at the first failure.")
@_KEEP
@output_options(record=RECORD_AS_OUTPUT)
@rule_options()
@execution_options(limits=True)
def soak(target: tuple[str, ...], **options: Any) -> int:
    """Ask for hours what no run has asked before: decks of fresh seeds, searches and chunks of all sweeps, by turns.
    TARGET is as for lossproof run.

    The same seed asks the same again.
    """
    from lossproof.cli.commands.soak import soak_command

    return soak_command(target, **options)


@click.command()
@click.argument("target", nargs=-1)
@click.option(
    "--case",
    "cases",
    help="Only this case (repeatable): grid, labels, growth, counts, elements, classes, far or rows.",
    **MANY_NAMES,
)
@click.option("--op", "ops", help="Only this op (repeatable).", **MANY_NAMES)
@click.option("--dtype", "dtypes", help="Only this dtype (repeatable).", **MANY_NAMES)
@click.option(
    "--memory",
    default=0.0,
    type=click.FloatRange(min=0),
    metavar="GIB",
    help="The most memory that one call may take (0: all that is there).",
)
@click.option(
    "--timeout",
    default=1800.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="The most that one call may take.",
)
@click.option("--in-process", is_flag=True, help="Targets in this process; a crash ends the run.")
@output_options(record=RECORD_AS_OUTPUT)
@rule_options()
def giant(target: tuple[str, ...], **options: Any) -> int:
    """Ask for tensors beyond 2^31 elements, 2^24 rows and other limits of indices, grids and counts. TARGET is as for
    lossproof run.

    Memory is asked for first: what would take more than there is has the verdict resource, with the figures.
    """
    from lossproof.cli.commands.giant import giant_command

    return giant_command(target, **options)


SWEEP_COMMANDS = (sweep, soak, giant)
