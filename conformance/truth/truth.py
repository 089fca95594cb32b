"""Truth for a stack of problems: enclosures with special values in place, and allowances per profile, computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lossproof.adapters.outputs import TABLE
from lossproof.adapters.protocol import Problem
from lossproof.core.batch import Batch, stack, take
from lossproof.core.formats import FLOAT64
from lossproof.truth.bounds.allowed import Allowed, allow, rounded_back
from lossproof.truth.bounds.error_model import Model
from lossproof.truth.expected import Expected
from lossproof.truth.oracle import in_balls, in_double_double, in_float64
from lossproof.truth.oracle.enclosure import Core, replaced
from lossproof.truth.oracle.variant_formulas import transformed
from lossproof.truth.row_quantities import Rows, analyse
from lossproof.truth.special_values import overlay
from lossproof.truth.special_variants import overlay_variant
from lossproof.truth.tail import Tail, tails


@dataclass(frozen=True)
class Truth:
    """A truth holds the exact results of a batch, and the errors that implementations may make.

    ``batch``     the problems
    ``rows``      their row quantities
    ``expected``  the exact result of each output, special values in place
    ``copies``    how often each row occurs in what is reduced: a mean stays what it is, its bound does not
    """

    batch: Batch
    rows: Rows
    expected: dict[str, Expected]
    copies: int = 1
    _allowed: dict[Model, Allowed] = field(default_factory=dict)
    _tails: dict[Model, dict[str, Tail]] = field(default_factory=dict)

    def allowed(self, profile: str, *, randomly_ordered: bool = False, online: bool = False) -> Allowed:
        """The errors allowed under a profile, computed once: all targets share them.

        ``randomly_ordered`` takes the statistical summation constant, for the quality grade only; ``online`` adds the
        rescaling error of kernels that declare it.
        """
        model = Model(self.batch.fmt, profile, online=online, random=randomly_ordered, copies=self.copies)
        if model not in self._allowed:
            self._allowed[model] = _as_returned(allow(self.batch, self.rows, model), self.batch, self.expected)
        return self._allowed[model]

    def tail(self, output: str, profile: str, *, online: bool = False) -> Tail | None:
        """The entries of an output that are graded for their relative accuracy under a profile, None if there is none.

        Computed once: all targets share them.
        """
        model = Model(self.batch.fmt, profile, online=online, copies=self.copies)
        if model not in self._tails:
            allowed = self.allowed(profile, online=online).outputs
            self._tails[model] = tails(self.batch, self.rows, model, self.expected, allowed)
        return self._tails[model].get(output)


def truth(problems: Sequence[Problem], *, precision: int | None = None, copies: int = 1) -> Truth:
    """Compute the exact results of problems of one signature, of which each row occurs so many times in a mean.

    float64 is computed in double-double (Arb where that would overflow), the other dtypes in float64, both with
    certified radii; variants, and with a ``precision`` in bits everything is computed with Arb balls.
    """
    batch = transformed(stack(problems))
    rows = analyse(batch)
    core = _core(batch, rows) if precision is None and not batch.is_variant else _in_balls(batch, rows, precision)
    model = Model(batch.fmt, batch.fmt.default_profile, copies=copies)
    bound = allow(batch, rows, model)
    expected = (overlay_variant if batch.is_variant else overlay)(batch, rows, core, bound.unjudged)
    expected |= {name: expected[again] for name in batch.outputs if (again := TABLE[name].repeats)}
    return Truth(batch, rows, expected, copies, {model: _as_returned(bound, batch, expected)})


def _as_returned(bound: Allowed, batch: Batch, expected: Mapping[str, Expected]) -> Allowed:
    """Bounds of what is returned: repeated outputs have those of the first time, and narrower ones are rounded."""
    out = {name: bound.outputs[TABLE[name].repeats or name] for name in expected}
    for name, allowed in out.items():
        fmt = batch.format_of(name)
        if fmt != batch.fmt:
            exact = expected[name].exact
            out[name] = rounded_back(allowed, np.abs(exact.mid) + np.abs(exact.low) + exact.rad, fmt)
    return Allowed(out, bound.unjudged)


def _in_balls(batch: Batch, rows: Rows, precision: int | None) -> Core:
    bits = in_balls.PRECISIONS[0] if precision is None else precision
    return in_balls.enclosures_in_balls(batch, rows, bits)


def _core(batch: Batch, rows: Rows) -> Core:
    if batch.fmt.precision < FLOAT64.precision:
        return in_float64.enclosures_in_float64(batch, rows)
    result = in_double_double.enclosures_in_double_double(batch, rows)
    beyond = np.flatnonzero(~in_double_double.suitable(batch))
    if not beyond.size:
        return result
    few = take(batch, beyond)
    return replaced(result, in_balls.enclosures_in_balls(few, analyse(few)), beyond)
