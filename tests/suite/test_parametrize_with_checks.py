"""``lossproof.pytest.parametrize_with_checks`` in a caller's own test file, run as the caller runs it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import Any

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def _arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge is not compiled: pytester has a home without a cache, and imports the engine anew each time."""
    monkeypatch.setenv("LOSSPROOF_COMPILED", "0")


FUNCTIONS = """
import numpy as np
from lossproof.pytest import parametrize_with_checks


def softmax(x, *, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def naive(x, *, axis):
    e = np.exp(x)
    return e / e.sum(axis=axis, keepdims=True)


def broken(x, *, axis):
    raise RuntimeError("not today")


SMALL = dict(op="softmax", deck="smoke", dtypes=("float32",))
"""
TEST = """

@parametrize_with_checks({which}, **SMALL{more})
def test_it(check):
    {body}
"""


def file(which: str, more: str = "", body: str = "check()") -> str:
    return FUNCTIONS + TEST.format(which=which, more=more, body=body)


def outcome(pytester: pytest.Pytester, text: str, *options: str) -> pytest.RunResult:
    pytester.makepyfile(test_losses=text)
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:randomly", "-rA", *options)


def test_one_test_for_each_dtype_and_family(pytester: pytest.Pytester) -> None:
    result = outcome(pytester, file("[softmax]"), "-W", "error::RuntimeWarning")
    counts = result.parseoutcomes()
    assert set(counts) <= {"passed", "skipped"}
    assert 20 < counts["passed"] < 40
    names = [f"softmax-softmax-{rest}" for rest in ("answers", "float32-ordinary", "float32-nan_row", "float32-error")]
    result.stdout.fnmatch_lines_random([f"PASSED *::test_it[[]{name}[]]" for name in names])


def test_a_wrong_function_fails_where_it_is_wrong(pytester: pytest.Pytester) -> None:
    result = outcome(pytester, file("[softmax, naive]"), "-k", "dominating or ordinary")
    assert result.parseoutcomes() == {"passed": 3, "failed": 1, "deselected": result.parseoutcomes()["deselected"]}
    result.stdout.fnmatch_lines(["E * softmax(float32 dominating *): value got nan at *not an accepted value"])
    result.stdout.fnmatch_lines(["FAILED *naive-softmax-float32-dominating*"])
    assert "implementation_parts" not in result.stdout.str(), "the traceback ends in the caller's file"


def test_expected_failures_are_strict(pytester: pytest.Pytester) -> None:
    said = ", expected_failures={'naive-*-dominating': 'no maximum', 'naive-*-ordinary': 'none', 'nave-*': 'gone'}"
    result = outcome(pytester, file("[naive]", said), "-k", "dominating or ordinary or expected_failures")
    counts = result.parseoutcomes()
    assert (counts["xfailed"], counts["failed"]) == (1, 2)
    result.stdout.fnmatch_lines(["*XPASS(strict)*none*"])
    result.stdout.fnmatch_lines(["E *'nave-[*]' matches no test; nearest: naive-softmax-*"])
    result.stdout.fnmatch_lines(["XFAIL *naive-softmax-float32-dominating* - no maximum"])


def test_a_function_that_answers_nothing_says_so_once(pytester: pytest.Pytester) -> None:
    result = outcome(pytester, file("[broken]"))
    counts = result.parseoutcomes()
    assert counts["failed"] == 1
    assert "passed" not in counts
    result.stdout.fnmatch_lines(["E *RuntimeError: not today*", "FAILED *broken-softmax-answers*"])
    assert "not even an ordinary call is answered" in result.stdout.str()


def test_a_test_that_forgets_its_check_fails(pytester: pytest.Pytester) -> None:
    result = outcome(pytester, file("[softmax]", body="pass"), "-k", "ordinary")
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines(["*test_it has not called its check; write check()*"])


def test_adapters_and_targets_are_checked_too(pytester: pytest.Pytester) -> None:
    text = FUNCTIONS + (
        "from lossproof.adapters.numpy import ADAPTER\n"
        "class TestThem:\n"
        "    @parametrize_with_checks(\n"
        "        [ADAPTER, 'numpy', (softmax, {'dtypes': ('float16',)})], op='softmax', deck='smoke'\n"
        "    )\n"
        "    def test_it(self, check, tmp_path):\n"
        "        check()\n"
    )
    result = outcome(pytester, text, "-k", "nll_loss-float32-ordinary or softmax-float16-ordinary")
    names = ["numpy-nll_loss-float32-ordinary", "numpy2-softmax-float16-ordinary", "softmax-softmax-float16-ordinary"]
    result.stdout.fnmatch_lines_random([f"PASSED *::TestThem::test_it[[]{name}[]]" for name in names])


MISTAKES = [
    ("[3]", "", "expected a function, a module or a loss; got int 3"),
    ("[]", "", "there is nothing to check"),
    ("'softmax'", "", "expected a list of functions"),
    ("[(softmax, 3)]", "", "a tuple of another kind than"),
    ("['nosuch']", "", "unknown target 'nosuch'"),
    ("[softmax]", ", axis=1", "unknown argument 'axis'"),
    ("[(softmax, {'op': 'softmin'})]", "", "unknown op 'softmin'"),
    ("[softmax]", ", expected_failures={'*': ''}", "expected_failures has no reason for"),
]


def test_mistakes_are_said_while_tests_are_collected(pytester: pytest.Pytester) -> None:
    """Each in a file of its own, of one run: each run imports the engine anew."""
    pytester.makepyfile(**{f"test_{n}": file(which, more) for n, (which, more, _) in enumerate(MISTAKES)})
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:randomly")
    assert result.parseoutcomes() == {"errors": len(MISTAKES)}
    _, *said = result.stdout.str().replace("lossproof.core.errors.", "").split("ERROR collecting ")
    assert len(said) == len(MISTAKES)
    for n, (text, (_, _, message)) in enumerate(zip(said, MISTAKES, strict=True)):
        assert text.startswith(f"test_{n}.py")
        assert f"UsageError: {message}" in text


def test_the_op_has_to_be_said(pytester: pytest.Pytester) -> None:
    result = outcome(
        pytester, FUNCTIONS + "SMALL.pop('op')\n" + TEST.format(which="[softmax]", more="", body="check()")
    )
    assert "which op is softmax? Say op='cross_entropy'" in result.stdout.str()


def test_workers_and_time_limits_change_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_losses=file("[softmax, naive]"))
    # Hypothesis's plugin takes a second in each process.
    options: list[Any] = ["-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-q"]
    options += ["-k", "ordinary or dominating or answers"]
    options += ["-n", "2"] if importlib.util.find_spec("xdist") else []
    options += ["--timeout", "300"] if importlib.util.find_spec("pytest_timeout") else []
    result = pytester.runpytest_subprocess(*options)
    counts = result.parseoutcomes()
    assert (counts["passed"], counts["failed"]) == (5, 1)


def test_the_import_costs_nothing() -> None:
    program = (
        "import sys, lossproof.pytest\n"
        "ours = {m for m in sys.modules if m.startswith('lossproof')}\n"
        "assert ours == {'lossproof', 'lossproof.pytest'}, ours\n"
        "assert not {'numpy', 'hypothesis', 'flint'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
