"""The collection of what a report needs of a run, gathered while its observations go by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from lossproof.core.case_id import CONVENTION
from lossproof.core.observation import FAILING, Observation
from lossproof.records.waivers import verdict
from lossproof.running.summary import Summary
from lossproof.views.html.accuracy import Accuracy
from lossproof.views.html.error_map import ErrorMap
from lossproof.views.html.memory_plot import MemoryPlot

# Observations that are listed one by one; counts are of all.
LISTED = 3000
_SHOWN = FAILING | {"suspect", "waived"}


@dataclass
class Waived:
    """Observations that a waiver explains: how many, on which targets, and the first."""

    count: int = 0
    targets: set[str] = field(default_factory=set)
    first: Observation | None = None


@dataclass
class Collected:
    """Counts, groups and errors of a run.

    Memory grows with its cells and failures, not with its length, but for 16 bytes an observation.
    """

    summary: Summary = field(default_factory=Summary)
    accuracy: Accuracy = field(default_factory=Accuracy)
    errors: ErrorMap = field(default_factory=ErrorMap)
    memory: MemoryPlot = field(default_factory=MemoryPlot)
    waived: dict[str, Waived] = field(default_factory=dict)
    listed: list[Observation] = field(default_factory=list)
    unlisted: int = 0

    def add(self, o: Observation) -> None:
        """Count one observation."""
        self.summary.add(o)
        self.accuracy.add(o)
        self.errors.add(o)
        self.memory.add(o)
        shown = verdict(o)
        if shown == "waived":
            w = self.waived.setdefault(o.waiver, Waived())
            w.count += 1
            w.targets.add(o.target)
            # A case can be reproduced; what is said of a whole run cannot.
            if w.first is None or (w.first.case.family == CONVENTION and o.case.family != CONVENTION):
                w.first = o
        if shown in _SHOWN:
            if len(self.listed) < LISTED:
                # Calls may be large; those that programs are made of are kept with their groups.
                self.listed.append(replace(o, call=None))
            else:
                self.unlisted += 1

    def add_all(self, observations: Iterable[Observation]) -> Collected:
        """Count many observations."""
        for o in observations:
            self.add(o)
        return self
