"""``lossproof condense``: what the board needs of a record."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

import click

from lossproof.cli.warnings import warned
from lossproof.core.errors import UsageError
from lossproof.views.board.condense import condense
from lossproof.views.board.condensed import Condensed, condensed_text


def condense_command(
    records: Sequence[str], *, folder: str, date: str | None, overwrite: bool, waivers: Sequence[str]
) -> int:
    """Write a condensed record of each target of the records, and say where."""
    if date is not None:
        try:
            datetime.date.fromisoformat(date)
        except ValueError:
            raise UsageError(f"--date {date!r} is no day; expected YYYY-MM-DD") from None
    with warned():
        made = [c for path in records for c in condense(path, date=date or "", waivers=waivers)]
    for path in put_condensed(made, folder, overwrite=overwrite):
        click.echo(f"{path}: {path.stat().st_size / 1e3:.1f} kB")
    return 0


def put_condensed(made: Sequence[Condensed], folder: str | Path, *, overwrite: bool) -> list[Path]:
    """Write condensed records into a folder, which is made, and return their paths.

    Raises :class:`UsageError` before anything is written where two have one name, or where a file is there and not to
    be replaced.
    """
    by_path = {Path(folder, c.file_name): c for c in made}
    if len(by_path) < len(made):
        twice = next(c for i, c in enumerate(made) if c.file_name in {d.file_name for d in made[:i]})
        raise UsageError(f"{twice.name} {twice.version} is there twice; condense one record of it")
    for path in by_path:
        if path.exists() and not overwrite:
            raise UsageError(f"{path} exists; give --overwrite to replace it")
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for path, c in by_path.items():
            path.write_text(condensed_text(c), "utf-8")
    except OSError as error:
        raise UsageError(f"cannot write into {folder}: {error.strerror or error}") from None
    return list(by_path)
