"""``lossproof show``: what a record holds, without the frameworks that it is about."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import click
from rich.markup import escape

from lossproof.cli.warnings import warned
from lossproof.core.errors import UsageError
from lossproof.core.names import known_names
from lossproof.core.observation import Observation
from lossproof.records.filters import Filters
from lossproof.records.record import Record, read_record, to_line
from lossproof.records.recorded_targets import recorded_targets
from lossproof.records.waivers import Book, shipped, verdict
from lossproof.running.merge import told_ends
from lossproof.running.summary import Summary
from lossproof.running.timing import Clock
from lossproof.views.terminal import console, print_run

_LISTED = 20


def show_command(
    path: str,
    *,
    ops: Sequence[str],
    dtypes: Sequence[str],
    families: Sequence[str],
    targets: Sequence[str],
    verdicts: Sequence[str],
    ids: Sequence[str],
    limit: int | None,
    as_json: bool,
) -> int:
    """Print the observations that match, as JSON or as tables and a list; the exit code is 0 whatever they say."""
    record = read_record(path)
    there = recorded_targets(record)
    known_names("target", targets, list(dict.fromkeys([*(t.name for t in there), *(t.implementation for t in there)])))
    filters = Filters(ops, dtypes, families, targets, verdicts, ids)
    with warned():
        if as_json:
            return _as_json(record, filters, limit)
        listed = _LISTED if limit is None and (verdicts or ids) else limit or 0
        summary, first, total = Summary(), list[Observation](), 0
        book = Book(shipped(t.adapter.name for t in there), there)
        for o in record:
            total += 1
            if not filters.match(o):
                continue
            summary.add(o)
            if o.waiver and verdict(o) == "waived":
                book.waived[o.waiver] = book.waived.get(o.waiver, 0) + 1
            if len(first) < listed:
                first.append(o)
        end = record.end()
        found = sum(summary.total.values())
        if not found:
            raise UsageError(f"none of the {total} observations in {path} matches")
        clock = Clock()
        told_ends([record], clock)
        out = console()
        for line in _about(record, complete=end is not None):
            out.print(escape(line))
        print_run(out, summary, book, clock, complete=False, header=record.header)
        for line in _list(first, found) if listed else ():
            out.print(escape(line))
        counts = {v: n for v, n in summary.total.items() if n}
        out.print(escape(f"{found} of {total} observations: {', '.join(f'{n} {v}' for v, n in counts.items())}"))
    return 0


def _as_json(record: Record, filters: Filters, limit: int | None) -> int:
    left = limit
    for o in record:
        if left == 0:
            break
        if filters.match(o):
            click.echo(json.dumps(to_line(o), allow_nan=False, separators=(",", ":")))
            left = None if left is None else left - 1
    return 0


def _about(record: Record, *, complete: bool) -> Iterator[str]:
    """The header, and whether the run came to its end."""
    head = record.header
    deck = head.get("deck", {})
    yield (
        f"{record.path}: lossproof {head.get('suite')}, deck {deck.get('size')} version {deck.get('version')}, "
        f"seed {deck.get('seed')}, digest {str(deck.get('digest'))[:12]}"
    )
    if "shard" in head:
        yield f"  shard {head['shard'].get('index')} of {head['shard'].get('of')}"
    for t in recorded_targets(record):
        versions = ", ".join(f"{name} {version}" for name, version in t.versions.items())
        yield f"  {t.name}: {versions}; {t.mode} on {t.device}"
    yield f"  {head.get('platform')}, {head.get('cpu', {}).get('model')}"
    if not complete:
        yield "  cut short: the run did not come to its end"


def _list(first: Sequence[Observation], found: int) -> Iterator[str]:
    for o in first:
        numbers = f"share {o.share:.3g}, ulp {o.ulp:.3g}"
        yield f"{verdict(o)}  {o.target}  {o.id}  {o.output}  {o.message or numbers}"
    if found > len(first):
        yield f"... and {found - len(first)} more; --limit N lists N"
