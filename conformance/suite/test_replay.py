"""Replay: the deck on every chosen target, one item per target, op, dtype and family, one subtest per call.

A case fails when an output lies outside its derived bound, or shows a special value that section 4 of the
specification does not accept. Known deviations (waivers) are expected failures with their reason.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence

import pytest

from lossproof.core.errors import UsageError
from lossproof.core.observation import FAILING, Observation
from lossproof.plugin import MISTAKE
from lossproof.records.waivers import verdict
from lossproof.suite import session


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One item per target, op, dtype and family; targets vary fastest, so that they share the truth of a group."""
    try:
        replay = session.of(metafunc.config)
    except UsageError as error:
        if not session.alone(metafunc.config):
            raise  # in a worker of xdist, the error of a module is the shortest report there is
        metafunc.config.stash[MISTAKE] = str(error)
        metafunc.parametrize(("target", "key"), [])
        return
    items = [(target, key) for key in replay.groups for target in replay.targets]
    metafunc.parametrize(("target", "key"), items, ids=["-".join((target, *key)) for target, key in items])


@pytest.fixture(scope="module")
def replay(request: pytest.FixtureRequest) -> session.Replay:
    """The replay, told which of its items were selected."""
    found = session.of(request.config)
    if session.alone(request.config):
        found.wanted = {}
        for item in request.session.items:
            spec = getattr(item, "callspec", None)
            if spec is not None and "key" in spec.params and "target" in spec.params:
                found.wanted.setdefault(spec.params["key"], set()).add(spec.params["target"])
    return found


def test_replay(replay: session.Replay, target: str, key: session.ReplayKey, subtests: pytest.Subtests) -> None:
    """Every output of every call of the group is within its bound."""
    __tracebackhide__ = True
    observations = replay.observations(target, key)
    given = [o for o in observations if o.verdict != "unsupported"]
    if not given:
        withheld = "these calls are too dear to compile for this target; see Call.tier"
        pytest.skip(observations[0].message if observations else withheld)
    for call_id, outputs in itertools.groupby(given, key=lambda o: o.id):
        with subtests.test(msg=call_id):
            _conclude(replay, list(outputs))
    # Subtests that are expected to fail show with -v only; the item says it in any case.
    waived = [o for o in given if verdict(o) == "waived"]
    if waived and not any(_is_bad(o) for o in given):
        pytest.xfail(f"{len(waived)} of {len(given)} outputs waived; {_reason(replay, waived[0])}")


def _is_bad(o: Observation) -> bool:
    return o.verdict in FAILING and verdict(o) != "waived"


def _reason(replay: session.Replay, o: Observation) -> str:
    w = replay.waivers.named(o.waiver)
    return f"{w.name}: {w.reason} ({w.issue})"


def _conclude(replay: session.Replay, outputs: Sequence[Observation]) -> None:
    __tracebackhide__ = True
    bad = [o for o in outputs if _is_bad(o)]
    if bad:
        hints = "\n".join(f"{o.message}\n    lossproof explain {o.id} --target {o.target}" for o in bad)
        pytest.fail(hints, pytrace=False)
    for o in outputs:
        if verdict(o) == "unexpected_pass":
            w = replay.waivers.named(o.waiver)
            text = f"{o.id} {o.output} passes on {o.target}, waiver {w.name} expects all to deviate ({w.source})"
            if replay.strict and replay.waivers.is_seen(w):
                pytest.fail(text, pytrace=False)
            warnings.warn(text, stacklevel=2)
    waived = [o for o in outputs if verdict(o) == "waived"]
    if waived:
        pytest.xfail(_reason(replay, waived[0]))
