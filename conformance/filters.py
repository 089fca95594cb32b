"""Which observations of a record a person wants to see."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from lossproof.errors import UsageError
from lossproof.judge import VERDICTS, Observation
from lossproof.waivers import verdict


@dataclass(frozen=True)
class Filters:
    """Names that an observation must have; no names let everything through. ``verdicts`` are as a reader sees them, so
    that ``fail`` leaves out what is waived; ``ids`` are globs."""

    ops: Sequence[str] = ()
    dtypes: Sequence[str] = ()
    families: Sequence[str] = ()
    targets: Sequence[str] = ()
    verdicts: Sequence[str] = ()
    ids: Sequence[str] = ()

    def __post_init__(self) -> None:
        known_names("verdict", self.verdicts, VERDICTS)

    def match(self, o: Observation) -> bool:
        """Whether an observation is wanted."""
        op, dtype, family = [*o.id.split("/"), "", "", ""][:3]
        names = ((self.ops, op), (self.dtypes, dtype), (self.families, family), (self.targets, o.target))
        return (
            all(not wanted or name in wanted for wanted, name in names)
            and (not self.verdicts or verdict(o) in self.verdicts)
            and (not self.ids or any(fnmatchcase(o.id, glob) for glob in self.ids))
        )


def known_names(what: str, given: Iterable[str], known: Sequence[str]) -> None:
    """Raise :class:`UsageError` for the first unknown name, with the nearest known one."""
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UsageError(f"unknown {what} {name!r}; {hint}expected one of {', '.join(known)}")
