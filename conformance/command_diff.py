"""``lossproof diff``: two records, what changed, and whether that fails."""

from __future__ import annotations

from collections.abc import Sequence

from lossproof.diff import Diff, Facts, compare
from lossproof.diff_formats import SHOW
from lossproof.headers import between, left_out, names, paired, same_deck
from lossproof.notes import warned
from lossproof.pairing import Side, pairs
from lossproof.record import read
from lossproof.terminal import console


def diff_command(before: str, after: str, *, pairs: Sequence[str], fail_on: str, form: str) -> int:
    """Compare, print, and return the exit code."""
    with warned():
        diff = diff_records(before, after, pairs)
    reasons = diff.reasons(fail_on)
    SHOW[form](console(), diff, reasons)
    return 1 if reasons else 0


def diff_records(before: str, after: str, given: Sequence[str] = ()) -> Diff:
    """The comparison of two files. ``given`` are pairs A=B of target names; by default those of the same name.

    Raises :class:`UsageError` for files that are no records, and for targets that are in neither.
    """
    one, other = read(before), read(after)
    chosen = paired(one, other, given)
    same = same_deck(one, other)
    facts = Facts(
        str(before),
        str(after),
        tuple(chosen),
        tuple(left_out(one, other, chosen)) if not given else (),
        tuple(between(one, other, chosen)),
        same,
    )
    mine, theirs = names(one, other, chosen)
    return compare(facts, pairs(Side(one, mine), Side(other, theirs)))
