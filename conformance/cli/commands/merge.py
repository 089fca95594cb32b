"""``lossproof merge``: the shards of a run or of a sweep as one record, and its report."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from lossproof import __version__
from lossproof.cases.deck import digest
from lossproof.cases.shard import Division
from lossproof.cli.kept_rows import views_and_locator
from lossproof.cli.outputs import new_record, views
from lossproof.cli.printed_session import told
from lossproof.cli.shared_options import OutputOptions
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.records.record import Record, read_record
from lossproof.records.recorded_targets import recorded_targets
from lossproof.running.header import of_calls
from lossproof.running.merge import Merged, in_order, merged_header, shares
from lossproof.running.session import Session, Sink
from lossproof.running.session_options import DeckOptions, Rules
from lossproof.running.sweeping.merged_sweep import merged_sweep
from lossproof.views.sweep_tables import SweepTables


def merge_command(shards: Sequence[str], *, rules: Rules, outputs: OutputOptions) -> int:
    """Merge, print the report of the whole run, and return its exit code."""
    # sanity check: the option is required
    assert outputs.record is not None
    records = in_order([read_record(path) for path in shards])
    if Path(outputs.record).resolve() in [r.path.resolve() for r in records]:
        raise UsageError(f"{outputs.record} is one of the shards; expected the name of a new record")
    new_record(outputs.record, overwrite=outputs.overwrite)
    command = ["lossproof", *sys.argv[1:]]
    tables: Sink | None = None
    if "sweep" in records[0].header:
        session = merged_sweep(records, rules, command)
        others, place = views_and_locator(outputs, None)
        tables = SweepTables(outputs.quiet, place, lambda: 0)
    else:
        session, deck = _of_deck(records, rules, command, Path(outputs.record))
        others = views(outputs, deck.place)
    try:
        return told(session, outputs, others, tables=tables)
    except UsageError:
        # What cannot be merged is no record: the next try, with other shards, would find it in its way.
        with contextlib.suppress(OSError):
            Path(outputs.record).unlink()
        raise


def _of_deck(
    records: Sequence[Record], rules: Rules, command: Sequence[str], path: Path
) -> tuple[Session, DeckOptions]:
    """The session over the shards of a run, whose record goes to ``path``, and the deck of the run."""
    deck, calls, division = _deck(records)
    head = merged_header(records, of_calls(calls), command)
    several = recorded_targets(Record(path, head))
    session = Session(
        subjects=several,
        calls=calls,
        deck=deck,
        book=rules.book(several, calls),
        source=Merged(records, calls, division),
        strict=rules.strict,
        header=head,
    )
    return session, deck


def _deck(records: Sequence[Record]) -> tuple[DeckOptions, list[Call], Division]:
    """The deck that the shards are parts of, made again, and its division."""
    first = records[0]
    head = first.header
    try:
        deck, wanted = DeckOptions.recorded(head), [r.header["deck"]["digest"] for r in records]
        kept = head["deck"].get("kept")
    except (KeyError, TypeError, AttributeError):
        raise UsageError(f"{first.path} is not a lossproof record; its header does not describe its deck") from None
    if kept:
        raise UsageError(f"{first.path} has calls of files beside its deck; run shards without --calls, and them apart")
    calls, division = deck.calls(), deck.division(len(records))
    made = [digest(own) for own in shares(calls, division, len(records))]
    for record, was, now in zip(records, wanted, made, strict=True):
        if was != now or record.header.get("suite") != __version__:
            raise UsageError(
                f"{record.path} was made by lossproof {record.header.get('suite')} with another deck; "
                "merge its shards with that"
            )
    return deck, calls, division
