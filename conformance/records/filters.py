"""Filters pick the observations of a record that a person wants to see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from lossproof.core.names import known_names
from lossproof.core.observation import VERDICTS, Observation
from lossproof.records.waivers import verdict


@dataclass(frozen=True)
class Filters:
    """Filters list names, one of which an observation must have; an empty list lets everything through.

    ``verdicts`` are as a reader sees them, so that ``fail`` leaves out what is waived; ``ids`` are globs.
    """

    ops: Sequence[str] = ()
    dtypes: Sequence[str] = ()
    families: Sequence[str] = ()
    targets: Sequence[str] = ()
    verdicts: Sequence[str] = ()
    ids: Sequence[str] = ()

    def __post_init__(self) -> None:
        known_names("verdict", self.verdicts, VERDICTS)

    def match(self, o: Observation) -> bool:
        """Tell whether an observation is wanted."""
        case = o.case
        names = ((self.ops, case.op), (self.dtypes, case.dtype), (self.families, case.family), (self.targets, o.target))
        return (
            all(not wanted or name in wanted for wanted, name in names)
            and (not self.verdicts or verdict(o) in self.verdicts)
            and (not self.ids or any(fnmatchcase(o.id, glob) for glob in self.ids))
        )
