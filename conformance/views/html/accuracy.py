"""Distributions of errors, in shares of the bound and units in the last place, by target, op and dtype, and over K."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lossproof.core.case_id import Kind
from lossproof.core.observation import Observation
from lossproof.running.summary import CellKey

# Edges of histograms, in powers of ten of the share of the bound; what is below the first is exact or nearly so.
EDGES = (*(-4 + i / 4 for i in range(17)), 1.0, 2.0, 3.0)
_QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
_JUDGED = frozenset({"pass", "convention", "suspect", "fail"})


@dataclass
class Spread:
    """The errors of one target, op and dtype: 8 bytes for each, so that quantiles are exact."""

    shares: array[float] = field(default_factory=lambda: array("d"))
    ulps: array[float] = field(default_factory=lambda: array("d"))
    by_classes: dict[int, tuple[int, float]] = field(default_factory=dict)
    infinite: int = 0

    def add(self, o: Observation) -> None:
        """Count one judged output."""
        if not math.isfinite(o.share):
            self.infinite += 1
            return
        self.shares.append(o.share)
        if o.output == "value" and math.isfinite(o.ulp):
            self.ulps.append(o.ulp)
        # A relation compares calls of several shapes.
        if o.case.kind is Kind.CALL and o.classes is not None:
            n, worst = self.by_classes.get(o.classes, (0, 0.0))
            self.by_classes[o.classes] = (n + 1, max(worst, o.share))

    def facts(self) -> dict[str, Any]:
        """Sum up: counts, quantiles, a histogram, and the worst share for each number of classes."""
        shares = np.frombuffer(self.shares) if self.shares else np.zeros(0)
        ulps = np.frombuffer(self.ulps) if self.ulps else np.zeros(0)
        with np.errstate(divide="ignore"):
            places = np.searchsorted(EDGES, np.log10(shares), side="right")
        return {
            "n": len(shares),
            "infinite": self.infinite,
            "share": _quantiles(shares),
            "ulp": _quantiles(ulps),
            "histogram": np.bincount(places, minlength=len(EDGES) + 1).tolist(),
            "classes": [[k, *self.by_classes[k]] for k in sorted(self.by_classes)],
        }


def _quantiles(values: np.ndarray) -> list[float]:
    return [float(f"{q:.4g}") for q in np.quantile(values, _QUANTILES)] if values.size else []


@dataclass
class Accuracy:
    """Errors of a run by target, op and dtype."""

    cells: dict[CellKey, Spread] = field(default_factory=dict)

    def add(self, o: Observation) -> None:
        """Count one observation, if it was judged by a bound."""
        if o.verdict in _JUDGED and o.profile and o.got is not None:
            self.cells.setdefault((o.target, o.case.op, o.case.dtype), Spread()).add(o)

    @property
    def classes_known(self) -> bool:
        """Tell whether the record says how many classes a call has; older ones do not."""
        return any(spread.by_classes for spread in self.cells.values())

    def facts(self) -> Iterator[dict[str, Any]]:
        """Sum up each cell in one JSON object."""
        for (target, op, dtype), spread in sorted(self.cells.items()):
            yield {"target": target, "op": op, "dtype": dtype, **spread.facts()}
