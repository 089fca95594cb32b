"""A whole run alone can say whether conventions are the same everywhere, and whether waivers still hold.

These items come last and take what the items of the replay have found, in whatever process; what is missing they play
themselves. Where a part of the replay is selected they speak of that part, as a filtered run of the command line does;
alone they stand for the whole deck.
"""

from __future__ import annotations

import pytest

from lossproof.records.waivers import fails, verdict
from lossproof.suite import pytest_session
from lossproof.suite.outcomes import conclude, failure, reason

# Of what a target does not offer.
_REASONS = 3


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One item per implementation: an adapter in its environment, with all its modes and devices, or per target."""
    if "target" in metafunc.fixturenames:
        pytest_session.parametrize(metafunc, ("target",), lambda replay: {name: (name,) for name in replay.targets})
    if "implementation" in metafunc.fixturenames:
        pytest_session.parametrize(
            metafunc,
            ("implementation",),
            lambda replay: {t.implementation: (t.implementation,) for t in replay.targets.values()},
        )


def test_conventions(request: pytest.FixtureRequest, implementation: str, subtests: pytest.Subtests) -> None:
    """Every convention is the declared one, or else the same in every dtype, mode and on every device.

    Where the bits of modes differ is a grade: a property of the item, and no failure.
    """
    replay = pytest_session.playing(request)
    whole = replay.whole
    mine = {implementation, *(t.name for t in replay.targets.values() if t.implementation == implementation)}
    found = [o for o in whole.conclusions if o.target in mine]
    if not found:
        pytest.skip("the selected cases leave nothing open that could differ")
    wrong: list[str] = []
    for o in found:
        text = failure(whole.ended.book, [o], strict=replay.session.strict, place=replay.session.deck.place)
        if text:
            wrong.append(text)
            continue
        with subtests.test(msg=o.id, target=o.target):
            if o.verdict == "convention":
                request.node.user_properties.append((f"{o.target} {o.id}", o.message))
            conclude(whole.ended.book, [o])
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)
    waived = [o for o in found if verdict(o) == "waived"]
    if waived and not any(fails(o) for o in found):
        pytest.xfail(f"{len(waived)} of {len(found)} conventions waived; {reason(whole.ended.book, waived[0])}")


def test_judged(request: pytest.FixtureRequest, target: str) -> None:
    """Something was judged of every target: items that are all skipped say nothing of it."""
    replay = pytest_session.playing(request)
    if not any(target in names for names in replay.selected.values()):
        pytest.skip(f"no case of {target} is selected")
    if replay.whole.ended.summary.idle([target]):
        why = sorted({reason for name, reason in replay.whole.ended.summary.unsupported if name == target})
        pytest.fail("; ".join([f"nothing was judged of {target}", *why[:_REASONS]]), pytrace=False)


def test_strict(request: pytest.FixtureRequest) -> None:
    """Under --lossproof-strict: every waiver is matched by something, and no fault went away by itself."""
    replay = pytest_session.playing(request)
    if not replay.session.strict:
        pytest.skip("stale waivers and faults that do not happen again fail with --lossproof-strict only")
    ended = replay.whole.ended
    reasons = ended.summary.strict_reasons(ended.book, complete=ended.complete)
    if reasons:
        pytest.fail("\n".join(reasons), pytrace=False)
