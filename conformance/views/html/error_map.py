"""The error map of a sweep: the worst error of each bin, in units in the last place, against its inputs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lossproof.cases.sweeps.chunks import bin_of
from lossproof.cases.sweeps.kind import SweepKind, is_smallest
from lossproof.core.observation import Observation

# Target, kind of sweep, op, dtype, output.
_Key = tuple[str, str, str, str, str]
_JUDGED = frozenset({"pass", "convention", "suspect", "fail"})
# Bins that are drawn of an output: of more, neighbours are drawn together.
_MOST = 1024


@dataclass
class ErrorMap:
    """The worst error and the worst share of the bound of each bin, by target, kind, op, dtype and output."""

    kinds: dict[_Key, SweepKind] = field(default_factory=dict)
    worst: dict[_Key, dict[int, tuple[float, float]]] = field(default_factory=dict)

    def add(self, o: Observation) -> None:
        """Count one observation, if it is of a bin and was judged."""
        case = o.case
        found = bin_of(case)
        if found is None or is_smallest(case.family) or o.verdict not in _JUDGED:
            return
        kind, bin = found
        key = (o.target, kind.name, case.op, case.dtype, o.output)
        self.kinds[key] = kind
        bins = self.worst.setdefault(key, {})
        ulp, share = bins.get(bin, (0.0, 0.0))
        bins[bin] = (max(ulp, o.ulp if math.isfinite(o.ulp) else 0.0), max(share, o.share))

    def facts(self) -> Iterator[dict[str, Any]]:
        """Sum up each output in one JSON object: its ``points`` are inputs from and to, ULP and share, in the order of
        the inputs."""
        for key, bins in self.worst.items():
            kind, (target, _, op, dtype, output) = self.kinds[key], key
            points = [(*kind.span(dtype, bin), *worst) for bin, worst in bins.items()]
            finite = sorted(p for p in points if math.isfinite(p[0]) and math.isfinite(p[1]))
            several = max(1, -(-len(finite) // _MOST))
            yield {
                "target": target,
                "op": op,
                "dtype": dtype,
                "output": output,
                "swept": kind.swept,
                "points": [_together(finite[i : i + several]) for i in range(0, len(finite), several)],
            }


def _together(several: list[tuple[float, float, float, float]]) -> tuple[float, float, float, float]:
    """Neighbours as one point: all of their inputs, and the worst of their errors."""
    lows, highs, ulps, shares = zip(*several, strict=True)
    return min(lows), max(highs), max(ulps), max(shares)
