"""The commands of the board: condense, board, history. Options only; the work is imported when a command runs."""

from __future__ import annotations

from typing import Any

import click

from lossproof.cli.interface_upgrade import ENVIRONMENT_OPTIONS


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


@click.command()
@click.argument("target")
@click.option(
    "--records",
    "folder",
    default="docs/board/records",
    show_default=True,
    metavar="FOLDER",
    help="Where the condensed records of releases are.",
)
@click.option(
    "--release",
    "versions",
    multiple=True,
    metavar="VERSION",
    help="Judge this release in an environment of its own, and keep its condensed record there (repeatable).",
)
@click.option("--package", default="", metavar="NAME", help="The distribution, such as tensorflow-cpu.")
@ENVIRONMENT_OPTIONS
@click.option(
    "--deck",
    "size",
    type=click.Choice(("smoke", "default")),
    default="smoke",
    show_default=True,
    help="The deck that each release is put to.",
)
@click.option("--overwrite", is_flag=True, help="Replace condensed records that are there.")
def history(target: str, folder: str, size: str, overwrite: bool, **options: Any) -> int:
    """Say what changed from release to release of TARGET, such as torch or jax+jit.

    Releases have a condensed record each; --release makes one more. The exit code is 2 if a release could not be
    judged.
    """
    from lossproof.cli.commands.history import NewReleases, history_command

    return history_command(target, folder=folder, new=NewReleases(**options), size=size, overwrite=overwrite)


@click.command()
@click.argument("records", nargs=-1, required=True, metavar="RECORD...")
@click.option("--output", "-o", "folder", required=True, metavar="FOLDER", help="Where the site is written.")
@click.option("--address", default="", metavar="URL", help="Where it will be published, for the text of its badges.")
@click.option(
    "--waivers", multiple=True, metavar="FILE", help="Known deviations, on top of the shipped ones (repeatable)."
)
def board(records: tuple[str, ...], **options: Any) -> int:
    """Write a static site of implementations: how each stands, its conventions, findings and history, a badge, and
    all of it as JSON.

    Each RECORD is a record, a condensed record, or a folder of condensed records. Takes the extra report: pip install
    'lossproof[report]'.
    """
    from lossproof.cli.commands.board import board_command

    return board_command(records, **options)


BOARD_COMMANDS = (condense, board, history)
