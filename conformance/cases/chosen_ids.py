"""Single calls are chosen by their ids: globs that a call has to match, and globs that leave it out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property

from lossproof.adapters.protocol import DTYPES, OPS
from lossproof.core.call import Call
from lossproof.core.case_id import nearest, parts_of
from lossproof.core.errors import UsageError


@dataclass(frozen=True)
class IdPatterns:
    """Patterns of ids: globs of whole ids, or the last parts of one."""

    patterns: Sequence[str]

    @cached_property
    def _words(self) -> frozenset[str]:
        return frozenset(self.patterns)

    @cached_property
    def _globs(self) -> list[str]:
        return [pattern for pattern in self._words if not {"*", "?", "["}.isdisjoint(pattern)]

    def that_mean(self, id: str) -> Iterator[str]:
        """Yield the patterns that mean an id."""
        parts = parts_of(id)
        yield from self._words.intersection("/".join(parts[i:]) for i in range(len(parts)))
        yield from (glob for glob in self._globs if fnmatchcase(id, glob))

    def mean(self, id: str) -> bool:
        """Tell whether one of them means an id."""
        return next(self.that_mean(id), None) is not None

    def of(self, ids: Iterable[str]) -> list[str]:
        """List the patterns that mean one of some ids, in their order."""
        used = {pattern for id in ids for pattern in self.that_mean(id)}
        return [pattern for pattern in self.patterns if pattern in used]


def chosen(calls: Iterable[Call], ids: Sequence[str], excluded: Sequence[str], *, whole: bool = True) -> list[Call]:
    """Keep the calls that some pattern of ``ids`` means, all where there is none, and that none of ``excluded`` does.

    Of a ``whole`` deck it raises :class:`UsageError` where a pattern of ``ids`` means none of the calls, with the
    nearest ids, and where nothing is left; of a part of one these may be in the other parts.
    """
    calls, wanted, unwanted = list(calls), IdPatterns(ids), IdPatterns(excluded)
    used = set(wanted.of(call.id for call in calls))
    for pattern in ids if whole else ():
        if pattern not in used:
            near = nearest(pattern, [call.id for call in calls])
            hint = f"nearest: {near}" if near else "see lossproof deck list"
            raise UsageError(f"no case of this deck has an id like {pattern!r}; {hint}")
    kept = [call for call in calls if (not ids or wanted.mean(call.id)) and not unwanted.mean(call.id)]
    if whole and not kept:
        raise UsageError(f"nothing is left without {', '.join(excluded)}; leave out one of the filters")
    return kept


def drawn_for(ids: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The ops and the dtypes that have all that some patterns mean; none, where that may be any."""
    parts = [parts_of(pattern) for pattern in ids]
    if not all(len(p) > 1 and p[0] in OPS and p[1] in DTYPES for p in parts):
        return (), ()
    return tuple(dict.fromkeys(p[0] for p in parts)), tuple(dict.fromkeys(p[1] for p in parts))
