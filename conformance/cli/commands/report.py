"""``lossproof report``: one record, or two, as an HTML page."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

import click

from lossproof.cli.commands.diff import diff_records
from lossproof.cli.warnings import warned
from lossproof.core.command_line import recorded_place
from lossproof.core.errors import UsageError
from lossproof.records.record import read_record
from lossproof.records.recorded_targets import recorded_targets
from lossproof.records.waivers import waivers_in_force
from lossproof.running.summary import Summary
from lossproof.views.html.collect import Collected
from lossproof.views.html.page import Run, page, put
from lossproof.views.html.programs import MOST, ReproducerTexts


def report_command(
    records: Sequence[str], *, output: str, pairs: Sequence[str], waivers: Sequence[str], programs: bool
) -> int:
    """Write the page."""
    if len(records) > 2:
        raise UsageError(f"got {len(records)} records; expected one, or two to compare")
    with warned():
        size = write_report(output, *records, pairs=pairs, waivers=waivers, programs=programs)
    click.echo(f"{output}: {size / 1e6:.1f} MB")
    return 0


def write_report(
    output: str | Path,
    first: str | Path,
    second: str | Path | None = None,
    *,
    pairs: Sequence[str] = (),
    waivers: Sequence[str] = (),
    programs: bool,
) -> int:
    """Write the page of a record, or of a ``second`` one compared with the first, and return its size in bytes.

    ``pairs`` are targets A=B to compare, ``waivers`` files with the reasons of the user's own. With ``programs`` the
    targets of failures are started to write reproducers; where that cannot be done, the page says why. Raises
    :class:`UsageError` for files that are no records, and without the packages that reports take.
    """
    record = read_record(second or first)
    there = recorded_targets(record)
    book = waivers_in_force(there, waivers)
    makers = ReproducerTexts(
        options={"record": record.path}, place=recorded_place(record.header), most=MOST if programs else 0
    )
    try:
        collected = Collected().add_all(record)
        diff = earlier = None
        if second is not None:
            diff = diff_records(str(first), str(second), pairs)
            earlier = Summary().add_all(read_record(first))
        html = page(Run(record.header, collected, book, record.end(), makers, diff, earlier, _day(record.path)))
    finally:
        makers.close()
    return put(output, html)


def _day(path: Path) -> str:
    """The day on which a record was last written; nothing where that is not known."""
    try:
        return datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC).date().isoformat()
    except OSError:
        return ""
