"""Exploration: hypothesis looks for a call that any chosen target gets wrong, and shrinks what it finds.

All targets answer the same draw: drawn separately they would see different inputs. Part of the search climbs on the
worst share of the bound. Known deviations (waivers) do not stop it.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis import target

from lossproof.cases import kept_calls
from lossproof.cases.explore.calls import calls
from lossproof.cases.explore.search import CLIMBED, MANY, search
from lossproof.core.call import Call
from lossproof.core.operations import OPERATIONS
from lossproof.records.waivers import fails, verdict
from lossproof.running.loop import run
from lossproof.suite import pytest_session

_EXAMPLES = {"smoke": 30}


@pytest.mark.parametrize("op", OPERATIONS)
def test_explore(op: str, request: pytest.FixtureRequest) -> None:
    """No target is outside its bound on any drawn call."""
    __tracebackhide__ = True
    replay = pytest_session.of(request.config)
    chosen = [t for t in pytest_session.targets_here(request.config) if op in t.capabilities.ops]
    if not chosen:
        pytest.skip(f"no chosen target has {op}")
    dtypes = tuple(dict.fromkeys(d for t in chosen for d in t.capabilities.dtypes))
    layouts = tuple(dict.fromkeys(name for t in chosen for name in t.capabilities.layouts))
    minimal: list[Call] = []
    free = all(t.capabilities.compile_cost == "none" for t in chosen)
    deck = request.config.getoption("--lossproof-deck")

    @np.errstate(all="ignore")
    def play(data: st.DataObject) -> None:
        __tracebackhide__ = True
        call = data.draw(calls(op, dtypes, free_shapes=free, layouts=layouts), label="call")
        observations = [replay.session.book.mark(o, explored=True) for o in run(chosen, [call])]
        judged = [o for o in observations if verdict(o) not in ("waived", "unsupported")]
        shares = [o.share for o in judged if math.isfinite(o.share)]
        if call.problem.x.size <= CLIMBED:
            target(max(shares, default=0.0), label=f"worst share of the bound, {op}")
        bad = [o for o in observations if fails(o)]
        if bad:
            found = "\n".join(f"{o.target}: {o.message}" for o in bad)
            as_json = json.dumps(call.to_json(), separators=(",", ":"))
            minimal[:] = [call]
            hint = f"lossproof explain --call FILE --target {bad[0].target}, FILE holding the call:"
            pytest.fail(f"{call.id}\n{found}\n{hint}\n{as_json}", pytrace=False)

    try:
        at = request.config.getoption("--lossproof-seed")
        search(play, examples=_EXAMPLES.get(deck, MANY), at=at)
    finally:
        # Hypothesis ends with the minimal failure, played once more.
        folder = request.config.getoption("--lossproof-to")
        for call in minimal if folder else ():
            print(f"kept as {kept_calls.save(call, folder)}; replay it with --lossproof-calls")
