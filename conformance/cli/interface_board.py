"""The commands of the board: condense, board, history. Options only; the work is imported when a command runs."""

from __future__ import annotations

from typing import Any

import click


@click.command()
@click.argument("records", nargs=-1, required=True, metavar="RECORD...")
@click.option("--output", "-o", "folder", required=True, metavar="FOLDER", help="Where NAME-VERSION.json are written.")
@click.option("--date", metavar="YYYY-MM-DD", help="The day of the runs; by default that of each file.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@click.option(
    "--waivers", multiple=True, metavar="FILE", help="Known deviations, on top of the shipped ones (repeatable)."
)
def condense(records: tuple[str, ...], **options: Any) -> int:
    """Write what the board needs of each target of the RECORDs: a condensed record of some ten kB."""
    from lossproof.cli.commands.condense import condense_command

    return condense_command(records, **options)


BOARD_COMMANDS = (condense,)
