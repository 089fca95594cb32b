"""What an oracle answers: a centre held as an unevaluated sum of two doubles, and a certified radius."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lossproof.floats import F64


@dataclass(frozen=True)
class Enclosure:
    """The exact value lies within ``rad`` of ``mid + low``, entry by entry. ``mid`` may be NaN or infinite (exactly)."""

    mid: F64
    low: F64
    rad: F64

    def bounds(self) -> tuple[F64, F64]:
        """Outward rounded ends, as float64."""
        with np.errstate(invalid="ignore"):
            slack = self.rad + np.abs(self.low)
            lo, hi = self.mid - slack, self.mid + slack
        exact = (slack == 0) | ~np.isfinite(self.mid)
        return (
            np.where(exact, self.mid, np.nextafter(lo, -np.inf)),
            np.where(exact, self.mid, np.nextafter(hi, np.inf)),
        )


@dataclass(frozen=True)
class Core:
    """Enclosures of the outputs of regular rows, in the batch's layout (SPEC sections 2 and 3)."""

    value: Enclosure
    vjp: Enclosure | None
