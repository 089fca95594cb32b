"""A function that ends its process, blocks it or runs out of memory costs that call: in ``check_implementation`` with
``isolate=True``, and in the tests that ``parametrize_with_checks`` makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from lossproof import Report, check_implementation
from tests.support import crashing_losses
from tests.support.thinned import nightly

pytest_plugins = ["pytester"]
# In the search for the smallest input each call that fails costs a process.
pytestmark = pytest.mark.usefixtures("few_smaller_inputs")

# Each function, its verdict, and what is said of it.
ENDS = {
    "segfault": ("crash", "the process died of SIGSEGV; its last words: Fatal Python error: Segmentation fault"),
    "hang": ("timeout", "no answer within "),
    "leave": ("crash", "the process ended with exit code 7"),
    "abort": ("crash", "the process died of SIGABRT; its last words: Fatal Python error: Aborted"),
    "memory": ("resource", "out of memory"),
}


# Only what hangs has to be waited for; the others end by themselves, on a busy machine after seconds.
SECONDS = {"hang": 1}


def checked(name: str) -> Report:
    return check_implementation(
        getattr(crashing_losses, name),
        op="cross_entropy",
        isolate=True,
        timeout=SECONDS.get(name, 60),
        ranks=(2,),
        targets=["index"],
        dtypes=["float32"],
        deck="smoke",
        errors=False,
        cache=False,
    )


# Whatever ends a process by itself ends it in one way for the engine, as the first of the next test.
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=nightly if name in ("segfault", "leave", "abort") else ()) for name in ENDS]
)
def test_it_costs_the_call(name: str) -> None:
    verdict, words = ENDS[name]
    report = checked(name)
    assert {o.verdict for o in report.failures} == {verdict}
    assert {o.case.detail.partition("-")[0] for o in report.failures} == {"n3"}
    assert all(words in o.message for o in report.failures), report.failures[0].message
    assert report.counts["pass"] > 10
    # What a crash dumps is cut to its gist.
    assert max(len(o.message) for o in report.failures) < 480
    if "Fatal" in words:
        assert "crashing_losses.py" in report.failures[0].message


FILE = """
from lossproof.pytest import parametrize_with_checks
from tests.support import crashing_losses

ASKED = dict(op="cross_entropy", ranks=(2,), targets=("index",), dtypes=("float32",), deck="smoke", errors=False)


@parametrize_with_checks([getattr(crashing_losses, "{name}")], isolate=True, timeout=1, **ASKED)
def test_it(check):
    check()
"""


@pytest.mark.parametrize("name", ["segfault", pytest.param("hang", marks=nightly)])
def test_it_costs_the_test(name: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    monkeypatch.setenv("LOSSPROOF_COMPILED", "0")
    pytester.makepyfile(test_losses=FILE.format(name=name))
    result = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider", "-k", "ordinary or spread or answers", "-rA")
    assert result.parseoutcomes()["failed"] == 1, result.stdout.str()
    assert result.parseoutcomes()["passed"] == 2
    result.stdout.fnmatch_lines([f"E *{ENDS[name][1].partition(';')[0]}*"])
