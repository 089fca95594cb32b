"""One search of exploration for a mutant, with the budget of ``suite/test_explore``."""

from __future__ import annotations

import math

from hypothesis import strategies as st
from hypothesis import target

from lossproof.cases.explore.calls import calls
from lossproof.cases.explore.search import CLIMBED, MANY
from lossproof.cases.explore.search import search as explore
from lossproof.core.call import Call
from lossproof.core.observation import FAILING, Observation
from lossproof.running.exploration import explored
from lossproof.running.loop import run
from lossproof.targets.target import Target
from tests.mutants.kit.mutant import Mutant


class _Hit(Exception):  # noqa: N818 - what is looked for is no error
    def __init__(self, call: Call) -> None:
        super().__init__(call.id)
        self.call = call


def search(mutant: Mutant, seed: int) -> Call | None:
    """The first failing call that hypothesis draws within its budget, not shrunk; None if there is none."""
    judged = mutant.target()

    def look(data: st.DataObject) -> None:
        call = data.draw(_calls(mutant))
        observations = _judged(judged, call)
        shares = [o.share for o in observations if math.isfinite(o.share)]
        if call.problem.x.size <= CLIMBED:
            target(max(shares, default=0.0), label="worst share of the bound")
        if any(o.verdict in FAILING for o in observations):
            raise _Hit(call)

    try:
        explore(look, examples=MANY, at=seed, shrink=False)
    except _Hit as hit:
        return hit.call
    return None


def minimal(mutant: Mutant, seed: int) -> Call:
    """The failing call that exploration ends with."""
    found = explored([mutant.target()], mutant.op, mutant.expect, examples=MANY, seed=seed).call
    assert found is not None
    return found


def _calls(mutant: Mutant) -> st.SearchStrategy[Call]:
    return calls(mutant.op, mutant.expect, layouts=mutant.adapter().capabilities().layouts)


def _judged(judged: Target, call: Call) -> list[Observation]:
    return [o for o in run([judged], [call]) if o.verdict != "unsupported"]
