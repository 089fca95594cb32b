"""``lossproof merge``: the shards of a run as one record, and its report."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lossproof import __version__
from lossproof.cases.catalogue import select
from lossproof.cases.deck import digest
from lossproof.cli.outputs import chosen as views_of
from lossproof.cli.session import Show, print_report
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.records.record import Record, Writer, read_record
from lossproof.records.recorded_targets import recorded_targets
from lossproof.records.waivers import Book, waivers_in_force
from lossproof.running.merge import in_order, merged, merged_header
from lossproof.running.timing import Clock
from lossproof.views.summary import Summary
from lossproof.views.terminal import console, last_line
from lossproof.views.view import Ended, Views


def merge_command(
    shards: Sequence[str], *, output: str, waivers: Sequence[str], strict: bool, quiet: bool, **views: Any
) -> int:
    """Merge, print the report of the whole run, and return its exit code."""
    records = in_order([read_record(path) for path in shards])
    if Path(output).resolve() in [r.path.resolve() for r in records]:
        raise UsageError(f"{output} is one of the shards; expected the name of a new record")
    first = records[0]
    calls = _deck(first)
    several = recorded_targets(first)
    book = waivers_in_force(several, waivers)
    summary, clock, seconds = Summary(), Clock(), 0.0
    chosen = views_of(**views, options={"record": output})
    others, head = Views(chosen.views), merged_header(records, ["lossproof", *sys.argv[1:]])
    with Writer(output, head) as writer:
        for raw in merged(records, calls):
            o = _marked(raw, book)
            writer.write(o)
            summary.add(o)
            others.add(o)
        for record in records:
            end = record.end() or {}
            seconds += end.get("seconds", 0.0)
            clock.more(end.get("clock", {}))
        facts = {"seconds": seconds, "clock": clock.facts(), "verdicts": dict(summary.total)}
        writer.end(facts)
    complete = first.header["deck"]["size"] == "default" and not first.header["filters"]
    reasons = print_report(summary, book, clock, Show(waivers, strict, quiet, complete, chosen=chosen))
    others.close(Ended(head, summary, book, reasons, facts))
    if not chosen.as_json:
        console().print(last_line(summary, [t.name for t in several], reasons))
    return 1 if reasons else 0


def _deck(record: Record) -> list[Call]:
    """The deck that the shards are parts of, made again."""
    head = record.header
    try:
        facts, filters = head["deck"], head["filters"]
        made = (facts["size"], facts["seed"], *(filters.get(name, ()) for name in ("op", "dtype", "family")))
        wanted = facts["digest"]
    except (KeyError, TypeError, AttributeError):
        raise UsageError(f"{record.path} is not a lossproof record; its header does not describe its deck") from None
    calls = select(*made)
    if digest(calls) != wanted or head.get("suite") != __version__:
        raise UsageError(
            f"{record.path} was made by lossproof {head.get('suite')} with another deck; merge them with that"
        )
    return calls


def _marked(raw: Observation, book: Book) -> Observation:
    """Observations are marked as the shards were; what is said of them together is marked now."""
    o = book.mark(replace(raw, waiver=""))
    if raw.waiver and raw.waiver != o.waiver:
        raise UsageError(f"the shards have a waiver {raw.waiver!r} on {o.id}; give lossproof merge the same --waivers")
    return o
