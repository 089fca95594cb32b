"""One search of exploration for a mutant, with the budget of ``suite/test_explore``."""

from __future__ import annotations

import math

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings, target
from hypothesis import seed as seeded
from hypothesis import strategies as st

from lossproof.call import Call
from lossproof.explore import calls
from lossproof.judge import FAILING, Observation
from lossproof.run import run
from lossproof.suite.test_explore import CLIMBED, MANY
from lossproof.targets import Target
from tests.mutants.mutant import Mutant

_SETTINGS = settings(
    deadline=None,
    database=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)


class _Hit(Exception):  # noqa: N818 - what is looked for is no error
    def __init__(self, call: Call) -> None:
        super().__init__(call.id)
        self.call = call


def search(mutant: Mutant, seed: int) -> Call | None:
    """The first failing call that hypothesis draws within its budget, not shrunk; None if there is none."""
    judged = mutant.target()

    @settings(_SETTINGS, max_examples=MANY, phases=(Phase.generate, Phase.target))
    @seeded(seed)
    @given(st.data())
    def look(data: st.DataObject) -> None:
        call = data.draw(_calls(mutant))
        observations = _judged(judged, call)
        shares = [o.share for o in observations if math.isfinite(o.share)]
        if call.problem.x.size <= CLIMBED:
            target(max(shares, default=0.0), label="worst share of the bound")
        if any(o.verdict in FAILING for o in observations):
            raise _Hit(call)

    try:
        look()
    except _Hit as hit:
        return hit.call
    return None


def minimal(mutant: Mutant) -> Call:
    """The failing call that hypothesis shrinks to."""
    judged = mutant.target()
    return hypothesis.find(
        _calls(mutant),
        lambda call: any(o.verdict in FAILING for o in _judged(judged, call)),
        settings=settings(_SETTINGS, max_examples=5 * MANY, phases=(Phase.generate, Phase.shrink)),
    )


def _calls(mutant: Mutant) -> st.SearchStrategy[Call]:
    return calls(mutant.op, mutant.expect, layouts=mutant.adapter().capabilities().layouts)


def _judged(judged: Target, call: Call) -> list[Observation]:
    return [o for o in run([judged], [call]) if o.verdict != "unsupported"]
