"""The smallest failing rows of what a sweep found: a call of a few of the rows of a bin, which still fails."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from lossproof.adapters.protocol import Problem
from lossproof.cases.simplify import simpler
from lossproof.cases.sweeps.kind import smallest_family
from lossproof.core.call import Call
from lossproof.core.observation import Observation
from lossproof.records.waivers import fails
from lossproof.running.loop import played
from lossproof.running.summary import severity
from lossproof.targets.lost import TargetLostError
from lossproof.targets.target import Target

_Mark = Callable[[Observation], Observation]
# Problems that are tried for each failure: after the first, which is one row, each costs little.
_BUDGET = 60


def smallest_failures(
    target: Target, calls: Mapping[str, Call], found: Collection[Observation], mark: _Mark
) -> list[Observation]:
    """Observe a target on the smallest failing rows: those of the worst bin of each output that fails in a chunk.

    ``calls`` are those of the chunk by id, ``found`` is what was observed of them. Observations that ``mark`` waives
    are no failures. Each call comes once, with all of its outputs.
    """
    worst: dict[str, Observation] = {}
    for o in found:
        if fails(mark(o)) and (o.output not in worst or severity(o) > severity(worst[o.output])):
            worst[o.output] = o
    by_id: dict[str, Sequence[Observation]] = {}
    for o in worst.values():
        several = _smallest(target, calls[o.id], o, mark)
        if several:
            by_id.setdefault(several[0].id, several)
    return [o for several in by_id.values() for o in several]


@np.errstate(all="ignore")
def _smallest(target: Target, call: Call, first: Observation, mark: _Mark) -> Sequence[Observation]:
    """The observations of the simplest call that was seen to fail as the first observation does; none if it does not
    fail again."""
    last: list[Observation] = []

    def same(p: Problem) -> bool:
        if p.has_probability_target and not _sums_to_1(p.target):
            # Of other sums other things are said.
            return False
        other = replace(call, source=p, family=smallest_family(call.family))
        try:
            several = [o for _, some in played([target], [other]) for o in some]
        except TargetLostError:
            return False
        if not any(o.output == first.output and fails(mark(o)) for o in several):
            return False
        last[:] = [replace(o, call=other if o.keeps_call else None) for o in several]
        return True

    # A bin that has no simpler rows is kept itself, in this family.
    if same(call.problem):
        simpler(call.problem, same, at=first.index, budget=_BUDGET)
    return last


def _sums_to_1(target: np.ndarray | None) -> bool:
    return target is not None and bool((target.sum(axis=-1) == 1.0).all())
