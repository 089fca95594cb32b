"""A sweep in numbers: what was asked of each output, the worst that was seen and where, and what fails. Pure; terminals
and pages show it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from lossproof.cases.sweeps.chunks import bin_of
from lossproof.cases.sweeps.kind import SweepKind, is_smallest
from lossproof.core.observation import Observation
from lossproof.records.waivers import fails

# Target, kind of sweep, op, dtype, output.
OutputKey = tuple[str, str, str, str, str]
# Bins with a failure that are listed by themselves.
_LISTED = 200
_JUDGED = frozenset({"pass", "convention", "suspect", "fail"})


@dataclass
class SweptOutput:
    """One output of an op in a dtype, of one target, has shown this: ``rows`` that were asked, the worst share of the
    bound and the worst error in ULP with the number of the bin where they were, and the number of ``failing`` bins."""

    kind: SweepKind
    rows: int = 0
    calls: int = 0
    share: float = 0.0
    share_at: int | None = None
    ulp: float = 0.0
    ulp_at: int | None = None
    failing: int = 0

    def add(self, bin: int, o: Observation) -> None:
        """Count one observation."""
        self.calls += 1
        self.rows += o.rows or 0
        self.failing += fails(o)
        if o.verdict not in _JUDGED:
            return
        if o.share > self.share or self.share_at is None:
            self.share, self.share_at = o.share, bin
        if math.isfinite(o.ulp) and (o.ulp > self.ulp or self.ulp_at is None):
            self.ulp, self.ulp_at = o.ulp, bin


@dataclass
class SweepSummary:
    """A summary of a sweep, by target, kind, op, dtype and output; and its failures: the ``smallest`` rows that were
    looked for, and the first of the ``bins``."""

    outputs: dict[OutputKey, SweptOutput] = field(default_factory=dict)
    smallest: list[Observation] = field(default_factory=list)
    bins: list[Observation] = field(default_factory=list)
    more: int = 0

    def add(self, o: Observation) -> None:
        """Count one observation. Of what is of no sweep failures alone are counted, among the smallest rows."""
        case = o.case
        found = bin_of(case)
        if found is None or is_smallest(case.family):
            self.smallest += [o] if fails(o) else []
            return
        kind, bin = found
        if o.verdict != "unsupported":
            self.outputs.setdefault((o.target, kind.name, case.op, case.dtype, o.output), SweptOutput(kind)).add(bin, o)
        if fails(o):
            if len(self.bins) < _LISTED:
                self.bins.append(o)
            else:
                self.more += 1
