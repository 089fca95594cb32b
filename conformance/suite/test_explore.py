"""Exploration: hypothesis looks for a call that any chosen target gets wrong, and shrinks what it finds.

All targets answer the same draw: drawn separately they would see different inputs. Part of the search climbs on the
worst share of the bound. Known deviations (waivers) do not stop it.
"""

from __future__ import annotations

import json

import pytest

from lossproof.cases import kept_calls
from lossproof.cases.explore import what_is_missing
from lossproof.core.operations import OPERATIONS
from lossproof.suite import pytest_session

_EXAMPLES = {"smoke": 30}


@pytest.mark.parametrize("op", OPERATIONS)
def test_explore(op: str, request: pytest.FixtureRequest) -> None:
    """No target is outside its bound on any drawn call."""
    missing = what_is_missing()
    if missing:
        pytest.skip(missing)
    from lossproof.cases.explore.search import MANY
    from lossproof.running.exploration import explored

    replay = pytest_session.of(request.config)
    chosen = [t for t in pytest_session.targets_here(request.config) if op in t.capabilities.ops]
    if not chosen:
        pytest.skip(f"no chosen target has {op}")
    dtypes = tuple(dict.fromkeys(d for t in chosen for d in t.capabilities.dtypes))
    found = explored(
        chosen,
        op,
        dtypes,
        examples=_EXAMPLES.get(request.config.getoption("--lossproof-deck"), MANY),
        seed=request.config.getoption("--lossproof-seed"),
        mark=lambda o: replay.session.book.mark(o, explored=True),
    )
    if found.call is None:
        return
    folder = request.config.getoption("--lossproof-to")
    if folder:
        print(f"kept as {kept_calls.save(found.call, folder)}; replay it with --lossproof-calls")
    said = "\n".join(f"{o.target}: {o.message}" for o in found.failures)
    as_json = json.dumps(found.call.to_json(), separators=(",", ":"))
    hint = f"lossproof explain --call FILE --target {found.failures[0].target}, FILE holding the call:"
    pytest.fail(f"{found.call.id}\n{said}\n{hint}\n{as_json}", pytrace=False)
