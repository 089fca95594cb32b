"""Enclosures, the answers of an oracle: a centre held as an unevaluated sum of two doubles, and a certified radius."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lossproof.core.formats import F64


@dataclass(frozen=True)
class Enclosure:
    """An enclosure says that the exact value lies within ``rad`` of ``mid + low``, entry by entry.

    ``mid`` may be NaN or infinite, exactly.
    """

    mid: F64
    low: F64
    rad: F64

    def ends(self, at: tuple[int, ...]) -> tuple[float, float]:
        """Return the ends of one entry, rounded outward to float64."""
        return outward(float(self.mid[at]), float(self.low[at]), float(self.rad[at]))


def outward(mid: float, low: float, rad: float) -> tuple[float, float]:
    """Return the ends of the numbers within ``rad`` of ``mid + low``, rounded outward to float64."""
    slack = rad + abs(low)
    if slack == 0 or not math.isfinite(mid):
        return mid, mid
    return math.nextafter(mid - slack, -math.inf), math.nextafter(mid + slack, math.inf)


# Enclosures of the outputs of regular rows, by name, in the batch's layout (specification, sections 2, 3).
Core = Mapping[str, Enclosure]


def replaced(first: Core, second: Core, into: NDArray[np.intp]) -> Core:
    """Return ``first`` with the problems ``into`` replaced by those of ``second``.

    An alternative (``vjp:other``) that only other problems have is the output itself.
    """

    def one(a: Enclosure, b: Enclosure) -> Enclosure:
        pairs = ((a.mid, b.mid), (a.low, b.low), (a.rad, b.rad))
        parts = [x.copy() for x, _ in pairs]
        for part, (_, y) in zip(parts, pairs, strict=True):
            part[into] = y
        return Enclosure(*parts)

    return {name: one(first[name], second.get(name, second[name.split(":")[0]])) for name in first}
