"""One search of exploration for a mutant, with the budget of ``suite/test_explore``."""

from __future__ import annotations

import math

from hypothesis import HealthCheck, Phase, given, settings, target
from hypothesis import seed as seeded
from hypothesis import strategies as st

from lossproof.call import Call
from lossproof.explore import calls
from lossproof.judge import FAILING
from lossproof.run import run
from lossproof.suite.test_explore import _MANY
from tests.mutants.mutant import Mutant


class _Hit(Exception):  # noqa: N818 - what is looked for is no error
    def __init__(self, call: Call) -> None:
        super().__init__(call.id)
        self.call = call


def search(mutant: Mutant, seed: int, *, examples: int = _MANY) -> Call | None:
    """The first failing call that hypothesis draws within its budget, not shrunk; None if there is none."""
    judged = mutant.target()

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.target),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @seeded(seed)
    @given(st.data())
    def look(data: st.DataObject) -> None:
        call = data.draw(calls(mutant.op, mutant.expect))
        observations = [o for o in run([judged], [call]) if o.verdict != "unsupported"]
        shares = [o.share for o in observations if math.isfinite(o.share)]
        target(max(shares, default=0.0), label="worst share of the bound")
        if any(o.verdict in FAILING for o in observations):
            raise _Hit(call)

    try:
        look()
    except _Hit as hit:
        return hit.call
    return None
