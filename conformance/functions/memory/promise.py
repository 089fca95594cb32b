"""The promise of a function to take no memory for each logit: it is asked shapes of two sizes of either axis, with
tensors that are made where it is, and what it took at most is compared."""

from __future__ import annotations

from collections.abc import Sequence

from lossproof.cases.sweeps.giants import GROWTH_CASES, GROWTH_FAMILY, LIMITS, GiantCall, Limits, giant_call
from lossproof.core.clauses import MEMORY
from lossproof.core.formats import FLOAT32
from lossproof.core.observation import Observation
from lossproof.functions.declaration import Declaration
from lossproof.functions.trial_findings import TrialFindings
from lossproof.running.continued import Continued
from lossproof.running.session import Source
from lossproof.running.sweeping.giant_session import Giants
from lossproof.targets.target import Target


def with_memory(source: Source, d: Declaration, found: TrialFindings, limits: Limits = LIMITS) -> Source:
    """Return a source of the same and of how memory grows, where that is declared."""
    if not d.memory:
        return source
    calls = memory_calls(source.targets[0], d, found, limits)
    shapes = Giants(source.targets, calls, fresh=False, clock=source.clock)
    return Continued(source, shapes.observations)


def memory_calls(target: Target, d: Declaration, found: TrialFindings, limits: Limits = LIMITS) -> list[GiantCall]:
    """The shapes, in one dtype and one reduction that the function takes."""
    dtype = FLOAT32.name if FLOAT32.name in found.dtypes else found.dtypes[0]
    reductions = target.capabilities.reductions
    reduction = GROWTH_CASES[0].reduction if GROWTH_CASES[0].reduction in reductions else reductions[0]
    return [giant_call(case, d.op, dtype, limits, reduction) for case in GROWTH_CASES]


def is_of_memory(o: Observation) -> bool:
    """Tell whether an observation is of a shape that memory is measured on, which nothing here can make smaller."""
    return o.case.family == GROWTH_FAMILY


def not_measured(d: Declaration, found: Sequence[Observation]) -> list[str]:
    """Say that a declared growth of memory was not measured, if it was not, and why."""
    grown = [o for o in found if is_of_memory(o)]
    if not d.memory or any(MEMORY in o.conventions for o in grown):
        return []
    why = next(
        (o.message for o in grown if o.message and o.output == "value"), "nothing here says what it took at most"
    )
    return [f"how memory grows, declared to be {d.memory}: {why}"]
