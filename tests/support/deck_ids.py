"""The ids of all cases of each deck, kept in ``tests/cases/deck_ids.txt``, and what became of them in words.

``python -m tests.support.deck_ids`` renews the file after a change that is meant. An id ends in the digest of the
problem's exact content, so that equal lists mean equal decks, bit for bit.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from lossproof.cases.catalogue import select
from lossproof.cases.deck import DECKS
from lossproof.core.case_id import CaseId

PATH = Path(__file__).parents[1] / "cases" / "deck_ids.txt"
COMMAND = "python -m tests.support.deck_ids"
_ORDER = "order"
_HEAD = f"# Written by `{COMMAND}`: deck, op/dtype/family, then detail/digest of each case."
_SHOWN = 12
# A deck that has the cases of another one, for other targets, is not kept.
KEPT = [name for name, size in DECKS.items() if not size.to_all]

Ids = Mapping[str, Sequence[str]]


def made() -> dict[str, list[str]]:
    """Deck -> ids, in order: the deck's calls, those made by hand, relations and error calls."""
    return {deck: [call.id for call in select(deck)] for deck in KEPT}


def order(ids: Iterable[str]) -> str:
    """A digest of the order of ids."""
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()[:16]


def read() -> tuple[dict[str, list[str]], dict[str, str]]:
    """The ids that are checked in, sorted, and the digest of their order, by deck."""
    found: dict[str, list[str]] = {}
    orders: dict[str, str] = {}
    for line in PATH.read_text(encoding="utf-8").splitlines()[1:]:
        deck, group, *cases = line.split(" ")
        if group == _ORDER:
            orders[deck] = cases[0]
        else:
            found.setdefault(deck, []).extend(f"{group}/{case}" for case in cases)
    return {deck: sorted(ids) for deck, ids in found.items()}, orders


def write(ids: Ids) -> None:
    """Check ids in: one line for each deck, op, dtype and family, so that a change shows where it is."""
    lines = [_HEAD]
    for deck, all_of_it in ids.items():
        lines.append(f"{deck} {_ORDER} {order(all_of_it)}")
        cases = sorted(CaseId.parse(id) for id in all_of_it)
        for group, members in groupby(cases, key=lambda c: f"{c.op}/{c.dtype}/{c.family}"):
            lines.append(" ".join((deck, group, *(f"{c.detail}/{c.digest}" for c in members))))
    PATH.write_text("\n".join(lines) + "\n", encoding="utf-8")


def differences(deck: str, old: Iterable[str], new: Iterable[str]) -> str:
    """Which cases are gone, new, or have other content under the same detail; empty where nothing changed."""
    before, after = set(old), set(new)
    lost, added = _by_detail(before - after), _by_detail(after - before)
    changed = [id for detail in lost.keys() & added.keys() for id in lost[detail]]
    gone = [id for detail in lost.keys() - added.keys() for id in lost[detail]]
    fresh = [id for detail in added.keys() - lost.keys() for id in added[detail]]
    if not (gone or fresh or changed):
        return ""
    families = _families(before) - _families(after), _families(after) - _families(before)
    return "\n".join(
        [
            f"the {deck} deck is another one: {len(gone)} cases gone, {len(fresh)} new, {len(changed)} changed",
            *(f"  family {name} is gone altogether" for name in sorted(families[0])),
            *(f"  family {name} is new" for name in sorted(families[1])),
            *_part("gone", gone),
            *_part("new", fresh),
            *_part("changed", changed),
            f"if this is meant, renew the list and say so in CHANGELOG.md: {COMMAND}",
        ]
    )


def _by_detail(ids: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for id in ids:
        found.setdefault(str(replace(CaseId.parse(id), digest="0" * 8)), []).append(id)
    return found


def _families(ids: Iterable[str]) -> set[str]:
    return {CaseId.parse(id).family for id in ids}


def _part(what: str, ids: Sequence[str]) -> list[str]:
    if not ids:
        return []
    by_family = Counter(CaseId.parse(id).family for id in ids)
    shown = [f"    {id}" for id in sorted(ids)[:_SHOWN]]
    rest = [f"    and {len(ids) - _SHOWN} more"] if len(ids) > _SHOWN else []
    return [f"  {what}: {', '.join(f'{name} {n}' for name, n in by_family.most_common())}", *shown, *rest]


if __name__ == "__main__":
    kept, current = (read()[0] if PATH.exists() else {}), made()
    for name, ids in current.items():
        print(differences(name, kept.get(name, ()), ids) or f"the {name} deck is as it was, {len(ids)} cases")
    write(current)
