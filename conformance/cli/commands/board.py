"""``lossproof board``: the static site of many implementations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from lossproof.cli.warnings import warned
from lossproof.views.board.condense import condense
from lossproof.views.board.condensed import Condensed, condensed_files, read_condensed
from lossproof.views.board.site import write_board


def board_command(records: Sequence[str], *, folder: str, waivers: Sequence[str], address: str) -> int:
    """Read records and condensed records, and write the site."""
    with warned():
        found = [c for path in condensed_files(records) for c in _read(path, waivers)]
        written = write_board(found, folder, address=f"{address.rstrip('/')}/" if address else "")
    size = sum(path.stat().st_size for path in written)
    click.echo(f"{Path(folder, 'index.html')}: {len(written)} files, {size / 1e6:.1f} MB")
    return 0


def _read(path: Path, waivers: Sequence[str]) -> list[Condensed]:
    """A condensed record is JSON, a record JSON Lines, whatever compresses it."""
    return [read_condensed(path)] if path.suffix == ".json" else condense(path, waivers=waivers)
