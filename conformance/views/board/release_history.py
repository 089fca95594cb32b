"""Releases of one target in condensed records: their order, and what changed from one to the next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from packaging.version import InvalidVersion, Version

from lossproof.core.case_id import ALL
from lossproof.core.clauses import EXEMPT
from lossproof.core.observation import FAILING
from lossproof.views.board.condensed import Condensed, CondensedCell

_SIZES = ("smoke", "default", "full")


@dataclass(frozen=True)
class ReleaseChange:
    """A change from release ``before`` to release ``after``: of which ``kind``, where, and what was and is.

    The kinds are ``offer``, ``failure``, ``known deviation``, ``profile``, ``convention`` and ``grade``.
    """

    before: str
    after: str
    kind: str
    where: str
    was: str
    now: str


def count_text(n: int, word: str) -> str:
    """A number with its word, which is told in the plural but for one."""
    return f"{n:,} {word}{'s' * (n != 1)}"


def by_release(records: Iterable[Condensed]) -> dict[str, list[Condensed]]:
    """Order condensed records: targets by name, and each target's releases from the oldest to the newest."""
    found: dict[str, list[Condensed]] = {}
    for c in sorted(records, key=lambda c: (c.name, *_release(c.version), c.date)):
        found.setdefault(c.name, []).append(c)
    return found


def same_deck_releases(records: Sequence[Condensed]) -> list[Condensed]:
    """Return those records of a target that can be compared: of the deck that most of its releases were asked."""
    decks = Counter((str(c.deck.get("digest")), str(c.filters)) for c in records)
    most = max(decks, key=lambda deck: decks[deck])
    return [c for c in records if (str(c.deck.get("digest")), str(c.filters)) == most]


def newest(records: Sequence[Condensed]) -> Condensed:
    """Return the record of the newest release of a target, the one of the largest deck if there are several."""
    last = _release(records[-1].version)
    return max((c for c in records if _release(c.version) == last), key=lambda c: (not c.filters, _size(c), c.date))


def _size(c: Condensed) -> int:
    return _SIZES.index(c.deck_size) if c.deck_size in _SIZES else -1


def release_changes(releases: Sequence[Condensed]) -> Iterator[ReleaseChange]:
    """List what changed from each release to the next."""
    for before, after in pairwise(releases):
        for kind, where, was, now in _between(before, after):
            yield ReleaseChange(before.version, after.version, kind, where, was, now)


def failing(cell: CondensedCell) -> int:
    """Count the outputs of a cell that fail and that no waiver explains."""
    return sum(n for verdict, n in cell.verdicts.items() if verdict in FAILING and verdict != "unexpected_pass")


def judged_outputs(cell: CondensedCell) -> int:
    """Count the outputs of a cell that were judged."""
    return sum(cell.verdicts.values()) - cell.verdicts.get("unsupported", 0)


def bounded_cells(c: Condensed) -> dict[tuple[str, str], CondensedCell]:
    """Return the cells of calls by op and dtype; what is said over all dtypes is none."""
    return {(cell.op, cell.dtype): cell for cell in c.cells if cell.dtype != ALL}


def _release(version: str) -> tuple[int, Version, str]:
    try:
        return 1, Version(version), version
    except InvalidVersion:
        return 0, Version("0"), version


def _between(before: Condensed, after: Condensed) -> Iterator[tuple[str, str, str, str]]:
    old, new = bounded_cells(before), bounded_cells(after)
    for key in sorted(old.keys() & new.keys()):
        was, now = old[key], new[key]
        where = " ".join(key)
        if bool(judged_outputs(was)) != bool(judged_outputs(now)):
            yield "offer", where, _offer(was), _offer(now)
        elif judged_outputs(now):
            if failing(was) != failing(now):
                yield "failure", where, _failed_of(was), _failed_of(now)
            if was.met != now.met:
                yield "profile", where, was.met or "none", now.met or "none"
    yield from _deviations(before, after)
    yield from _conventions(before, after)


def _offer(cell: CondensedCell) -> str:
    return "offered" if judged_outputs(cell) else "not offered"


def _failed_of(cell: CondensedCell) -> str:
    return f"{failing(cell)} of {judged_outputs(cell)} fail"


def _deviations(before: Condensed, after: Condensed) -> Iterator[tuple[str, str, str, str]]:
    was, now = ({w.name: count_text(w.count, "output") for w in c.waived} for c in (before, after))
    for name in sorted(was.keys() ^ now.keys()):
        yield "known deviation", name, was.get(name, "absent"), now.get(name, "absent")


def _conventions(before: Condensed, after: Condensed) -> Iterator[tuple[str, str, str, str]]:
    old, new = ({(s.clause, s.op, s.output): s.shown for s in c.conventions} for c in (before, after))
    for key in sorted(old.keys() & new.keys(), key=lambda k: (k[0].rjust(2), k)):
        was, now = old[key], new[key]
        dtypes = sorted(was.keys() & now.keys())
        differ = [d for d in dtypes if set(was[d]) != set(now[d])]
        if differ:
            kind = "grade" if key[0] in EXEMPT and not key[0].isdigit() else "convention"
            where = f"{_clause(key[0])}{key[1]} {key[2]}"
            yield kind, where, _shown(was, differ, dtypes), _shown(now, differ, dtypes)


def _clause(name: str) -> str:
    return f"clause {name}, " if name.isdigit() else f"{name}, "


def _shown(shown: Mapping[str, Mapping[str, int]], differ: Sequence[str], dtypes: Sequence[str]) -> str:
    texts = {d: " or ".join(sorted(shown[d])) for d in differ}
    if len(set(texts.values())) == 1 and len(differ) == len(dtypes):
        return next(iter(texts.values()))
    return "; ".join(f"{d}: {text}" for d, text in texts.items())
