"""``lossproof.run``: the command line's run, from Python."""

from __future__ import annotations

import pytest

import lossproof
from lossproof import Report, UsageError
from tests.support import wrong_adapters as wrong


@pytest.fixture(scope="module")
def inaccurate() -> Report:
    return lossproof.run(f"{wrong.__file__}:INACCURATE", deck="smoke", ops=["softmax"], dtypes=["float32"])


def test_a_right_target_passes() -> None:
    report = lossproof.run("numpy", deck="smoke", ops=["softmax"], dtypes=["float32"])
    report.raise_on_failure()
    assert report.ok
    assert report.counts.keys() == {"pass", "convention"}
    assert sum(report.counts.values()) == len(report.observations)
    assert {o.target for o in report.observations} == {"numpy"}
    assert str(report).startswith(f"{len(report.observations)} outputs: {report.counts['pass']} pass, ")


def test_options_choose_what_the_command_line_does() -> None:
    report = lossproof.run("numpy", deck="smoke", ops=["softmax"], families=["ordinary"], seed=1)
    other = lossproof.run("numpy", deck="smoke", ops=["softmax"], families=["ordinary"], in_process=True)
    assert {o.case.family for o in report.observations if o.call is None} >= {"ordinary"}
    assert {o.id for o in report.observations} != {o.id for o in other.observations}


def test_a_wrong_target_fails_and_says_where(inaccurate: Report) -> None:
    assert not inaccurate.ok
    assert inaccurate.counts["fail"] == len(inaccurate.failures) > 10
    assert inaccurate.reasons
    with pytest.raises(AssertionError, match=r"outputs fail, in \d+ ways\n") as raised:
        inaccurate.raise_on_failure(limit=2)
    assert str(raised.value).count("\n    softmax/float32/") == 2
    shown = str(inaccurate)
    assert shown.count("\n    softmax/float32/") == 5
    assert f"{len(inaccurate.failures)} of {len(inaccurate.observations)} outputs fail" in shown
    assert max((o for o in inaccurate.failures if o.case.family != "error"), key=lambda o: o.share).id in shown


def test_reasons_without_a_failure_fail() -> None:
    report = Report((), ("stale waiver x",))
    assert not report.ok
    with pytest.raises(AssertionError, match=r"^stale waiver x$"):
        report.raise_on_failure()
    assert str(report) == "0 outputs\nstale waiver x"


@pytest.mark.parametrize(
    ("targets", "options", "words"),
    [
        (["nosuch"], {}, "unknown target 'nosuch'"),
        (["numpy"], {"ops": ["softmin"]}, "unknown op 'softmin'"),
        (["numpy"], {"deck": "huge"}, "unknown deck 'huge'"),
        (["numpy"], {"deck": "smoke", "waivers": ["nowhere.toml"]}, "nowhere.toml"),
    ],
)
def test_bad_input_is_a_usage_error(targets: list[str], options: dict[str, list[str]], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        lossproof.run(*targets, **options)  # type: ignore[arg-type]
