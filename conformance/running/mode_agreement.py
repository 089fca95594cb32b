"""Bits across the modes and devices of one implementation: a grade for each op and dtype, never a failure.

The first target of an implementation in a run is the yardstick of the others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from lossproof.core.case_id import CaseId
from lossproof.core.clauses import MODES
from lossproof.core.observation import Observation
from lossproof.records.conditions import Subject


@dataclass
class Tally:
    """A tally counts the outputs that were compared, and those that have other bits."""

    compared: int = 0
    differing: int = 0


@dataclass
class Agreement:
    """Comparison of targets, group by group: all answers to a group come before those to the next one."""

    targets: Sequence[Subject]
    _first: dict[str, str] = field(default_factory=dict)
    _bits: dict[str, dict[tuple[str, str], str]] = field(default_factory=dict)
    _tallies: dict[tuple[str, str, str], Tally] = field(default_factory=lambda: defaultdict(Tally))

    def __post_init__(self) -> None:
        for target in self.targets:
            self._first.setdefault(target.implementation, target.name)

    def add(self, target: Subject, found: Iterable[Observation]) -> None:
        """Take note of what a target answered to a group."""
        bits = {(o.id, o.output): o.bits for o in found if o.bits}
        if target.name == self._first[target.implementation]:
            self._bits[target.implementation] = bits
            return
        yardstick = self._bits.get(target.implementation, {})
        for key in bits.keys() & yardstick.keys():
            case = CaseId.parse(key[0])
            tally = self._tallies[target.name, case.op, case.dtype]
            tally.compared += 1
            tally.differing += bits[key] != yardstick[key]

    def grades(self) -> Iterator[Observation]:
        """One observation for each target (but for the first ones), op and dtype."""
        first = {t.name: self._first[t.implementation] for t in self.targets}
        for (target, op, dtype), tally in self._tallies.items():
            shown = "varies" if tally.differing else "bitwise"
            text = f"{tally.differing} of {tally.compared} outputs have other bits than those of {first[target]}"
            yield Observation(
                str(CaseId.of_modes(op, dtype)),
                "all",
                target,
                "convention" if tally.differing else "pass",
                conventions={MODES: shown},
                message=text if tally.differing else "",
            )
