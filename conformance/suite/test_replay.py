"""Replay: the deck on every chosen target, one item per target, op, dtype and family, one subtest per call.

Calls that fail are no subtests, which would count beside their item: the item fails, once, and says which they are.

A case fails when an output lies outside its derived bound, or shows a special value that the specification (section 4)
does not accept. Known deviations (waivers) are expected failures with their reason.
"""

from __future__ import annotations

import itertools

import pytest

from lossproof.records.waivers import fails, verdict
from lossproof.suite import pytest_session
from lossproof.suite.outcomes import conclude, failure, reason


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One item per target, op, dtype and family; targets vary fastest, so that they share the truth of a group."""
    pytest_session.parametrize(
        metafunc,
        ("target", "key"),
        lambda replay: {"-".join((t, *key)): (t, key) for key in replay.groups for t in replay.targets},
    )


def test_replay(
    request: pytest.FixtureRequest, target: str, key: pytest_session.ReplayKey, subtests: pytest.Subtests
) -> None:
    """Every output of every call of the group is within its bound."""
    replay = pytest_session.playing(request)
    book, strict, place = replay.session.book, replay.session.strict, replay.session.deck.place
    observations = replay.observations(target, key)
    given = [o for o in observations if o.verdict != "unsupported"]
    if target in replay.lost and not given:
        pytest.fail(f"{target} was lost: {replay.lost[target]}", pytrace=False)
    if not given:
        withheld = "these calls are too dear to compile for this target; see Call.tier"
        pytest.skip(observations[0].message if observations else withheld)
    wrong: list[str] = []
    for call_id, group in itertools.groupby(given, key=lambda o: o.id):
        outputs = list(group)
        text = failure(book, outputs, strict=strict, place=place)
        if text:
            wrong.append(text)
            continue
        with subtests.test(msg=call_id):
            conclude(book, outputs)
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)
    # Subtests that are expected to fail show with -v only; the item says it in any case.
    waived = [o for o in given if verdict(o) == "waived"]
    if waived and not any(fails(o) for o in given):
        pytest.xfail(f"{len(waived)} of {len(given)} outputs waived; {reason(book, waived[0])}")
