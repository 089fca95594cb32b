"""Truth for a stack of problems: enclosures with special values in place, and allowances per profile, computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lossproof.adapters.protocol import Problem
from lossproof.core.batch import Batch, stack, take
from lossproof.core.formats import F64
from lossproof.truth.bounds.allowed import Allowed, allow, rounded_back
from lossproof.truth.bounds.error_model import Model
from lossproof.truth.expected import Expected
from lossproof.truth.oracle import in_balls, in_double_double, in_float64
from lossproof.truth.oracle.enclosure import Core, replaced
from lossproof.truth.row_quantities import Rows, analyse
from lossproof.truth.special_values import overlay

AGAIN = "vjp_again"


@dataclass(frozen=True)
class Truth:
    """Exact results of a batch and the errors that each profile allows."""

    batch: Batch
    rows: Rows
    expected: dict[str, Expected]
    _allowed: dict[tuple[str, bool, bool], Allowed] = field(default_factory=dict)

    def allowed(self, profile: str, *, randomly_ordered: bool = False, online: bool = False) -> Allowed:
        """Allowances under a profile, cached: all targets share them."""
        key = (profile, randomly_ordered, online)
        if key not in self._allowed:
            model = Model(self.batch.fmt, profile)
            found = allow(self.batch, self.rows, model, randomly_ordered=randomly_ordered, online=online)
            self._allowed[key] = replace(found, outputs=self._as_returned(found.outputs))
        return self._allowed[key]

    def _as_returned(self, outputs: dict[str, F64]) -> dict[str, F64]:
        """Bounds of what is returned: the second gradient has that of the first, and narrower ones are rounded."""
        out = outputs | ({AGAIN: outputs["vjp"]} if AGAIN in self.expected else {})
        for name, bound in out.items():
            fmt = self.batch.format_of(name)
            if fmt != self.batch.fmt:
                exact = self.expected[name].exact
                out[name] = rounded_back(bound, np.abs(exact.mid) + np.abs(exact.low) + exact.rad, fmt)
        return out


def truth(problems: Sequence[Problem], *, precision: int | None = None) -> Truth:
    """Exact results of problems of one signature.

    float64 is computed in double-double (Arb where that would overflow), the other dtypes in float64, both with
    certified radii; with a ``precision`` in bits everything is computed with Arb balls.
    """
    batch = stack(problems)
    rows = analyse(batch)
    core = _core(batch, rows) if precision is None else in_balls.enclosures_in_balls(batch, rows, precision)
    w = allow(batch, rows, Model(batch.fmt, "N" if batch.fmt.is_narrow else "W"))
    expected = overlay(batch, rows, core, np.asarray(w.unjudged))
    if AGAIN in batch.outputs:
        expected[AGAIN] = expected["vjp"]
    return Truth(batch, rows, expected)


def _core(batch: Batch, rows: Rows) -> Core:
    if batch.fmt.name != "float64":
        return in_float64.enclosures_in_float64(batch, rows)
    result = in_double_double.enclosures_in_double_double(batch, rows)
    beyond = np.flatnonzero(~in_double_double.suitable(batch))
    if not beyond.size:
        return result
    few = take(batch, beyond)
    return replaced(result, in_balls.enclosures_in_balls(few, analyse(few)), beyond)
