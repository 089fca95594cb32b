"""``lossproof diff``: two records, what changed, and whether that fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lossproof.cli.warnings import warned
from lossproof.core.errors import UsageError
from lossproof.records.diff import Diff, Facts, compare
from lossproof.records.headers import header_differences, left_out, names, paired, same_deck
from lossproof.records.pairs import RecordSide, pairs
from lossproof.records.record import read_record
from lossproof.records.slowdowns import of_clock, slowdowns
from lossproof.views.diff_formats import SHOW
from lossproof.views.terminal import console


def diff_command(before: str, after: str, *, pairs: Sequence[str], fail_on: str, form: str) -> int:
    """Compare, print, and return the exit code."""
    with warned():
        diff = diff_records(before, after, pairs)
    reasons = diff.reasons(fail_on)
    SHOW[form](console(), diff, reasons)
    return 1 if reasons else 0


def diff_records(before: str, after: str, given: Sequence[str] = ()) -> Diff:
    """The comparison of two files. ``given`` are pairs A=B of target names; by default those of the same name.

    Raises :class:`UsageError` for files that are no records, for targets that are in neither, and where the two have
    nothing in common.
    """
    one, other = read_record(before), read_record(after)
    chosen = paired(one, other, given)
    facts = Facts(
        str(before),
        str(after),
        tuple(chosen),
        tuple(left_out(one, other, chosen)) if not given else (),
        header=tuple(header_differences(one, other, chosen)),
        same_deck=same_deck(one, other),
    )
    sides = [RecordSide(record, known) for record, known in zip((one, other), names(one, other, chosen), strict=True)]
    diff = compare(facts, pairs(*sides))
    if not diff.compared:
        raise UsageError(f"{before} and {after} have no case of these targets in common; compare runs of one deck")
    cut_short = tuple(str(side.record.path) for side in sides if side.end is None)
    was, now = (of_clock(side.end) for side in sides)
    slower = tuple(s for a, b in chosen for s in slowdowns(a, was.get(a, {}), now.get(b, {})))
    return replace(diff, facts=replace(facts, cut_short=cut_short), slower=slower)
