"""Faults of a target cost one call: every other observation is what it is without the fault."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from lossproof.adapters.protocol import OPS, Problem
from lossproof.cases.deck import deck_calls
from lossproof.cases.deck_part import DeckPart
from lossproof.cases.error_cases import error_checks
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.judging.check import Check
from lossproof.records.record import to_line
from lossproof.records.waivers import Book, waivers_in_force
from lossproof.running.loop import run
from lossproof.running.report import report
from lossproof.running.session import Live, Session
from lossproof.running.session_options import DeckOptions
from lossproof.running.summary import Summary
from lossproof.running.timing import Clock
from lossproof.targets import lane, selection
from lossproof.targets import target as target_module
from lossproof.targets.launch import Processes
from lossproof.targets.process import Process
from lossproof.targets.target import Target
from tests.support.faulty import MAGIC
from tests.support.thinned import WHOLE, nightly
from tests.support.views import lossproof, without_progress

NAME = f"{Path(__file__).parents[1] / 'support' / 'faulty.py'}:ADAPTER"
LIMITS = Processes(timeout=600.0, memory=400 << 20)
EVERYTHING = deck_calls("smoke", DeckPart(dtypes=["float32"]))
CALLS = deck_calls("smoke", DeckPart(ops=["softmax"], dtypes=["float32"]))
X = np.array([[MAGIC, 1.0, -2.0, 0.5], [0.0, 1.0, 2.0, 3.0]])
CULPRIT = Call(Problem("softmax", "float32", X, cotangent=np.ones((2, 4))), "ordinary", "a test")
# In the middle of a stack: calls before it and after it travel with it.
AT = next(i for i, c in enumerate(CALLS) if c.problem.x.shape == (2, 4)) + 5
DECK = [*CALLS[:AT], CULPRIT, *CALLS[AT:]]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[object]:
    """Start a target with a fault. Time flies for a process that has said that it gives no answer, and for no other:
    who is late because the machine is busy is not out of time."""
    started: list[Target] = []
    file = tmp_path / "pid"
    monkeypatch.setenv("PID_FILE", str(file))
    watch = Process._watch

    def hurried(process: Process, seconds: float, first: bool) -> None:
        is_hung = file.exists() and int(file.read_text()) == process._process.pid
        watch(process, 1000 * seconds if is_hung else 0.0, first)

    monkeypatch.setattr(Process, "_watch", hurried)

    def begin(fault: str, limits: Processes = LIMITS) -> Target:
        monkeypatch.setenv("FAULT", fault)
        (target,) = selection.choose_targets([NAME], limits)
        started.append(target)
        return target

    yield begin
    selection.close(started)


def observed(target: Target, calls: list[Call] = DECK, clock: Clock | None = None) -> list[Observation]:
    return [replace(o, seconds=0.0) for o in run([target], calls, clock)]


@pytest.fixture(scope="module")
def quiet() -> list[Observation]:
    """What the deck gives without a fault."""
    os.environ.pop("FAULT", None)
    (target,) = selection.choose_targets([NAME], LIMITS)
    found = observed(target)
    selection.close([target])
    return found


FAULTS = {
    "segv": ("crash", "the process died of SIGSEGV"),
    "fpe": ("crash", "the process died of SIGFPE"),
    "abort": ("crash", "the process died of SIGABRT"),
    "kill": ("crash", "the process died of SIGKILL"),
    "hang": ("timeout", "no answer within 600 s"),
    "spin": ("timeout", "no answer within 600 s"),
    "hoard": ("resource", "GiB is beyond the limit of 0.39 GiB"),
    "exit": ("fail", "raised internal: SystemExit: 5"),
    "_exit": ("crash", "the process ended with exit code 7"),
    "wrong": ("fail", "raised internal: ArithmeticError: no kernel for this"),
    "asserted": ("fail", "raised bad_label: RuntimeError: device-side assert triggered"),
    "strayed": ("crash", "RuntimeError: an illegal memory access was encountered"),
    "chatter": ("pass", ""),
    "crowd": ("pass", ""),
}


# What is quoted of what a process that dies of a signal has written.
LAST_WORDS = ("its last words: ", "Segmentation fault", "faulty.py")
# Of those that end alike one is put to the test in every run.
# What is answered the second time is noted, which a test of its own says.
OTHERS = {"crowd", "fpe", "abort", "kill", "spin", "strayed", "_exit", "asserted"}


@pytest.mark.parametrize("fault", [pytest.param(f, marks=nightly if f in OTHERS else ()) for f in FAULTS])
def test_a_fault_costs_one_call(fault: str, start, quiet: list[Observation]) -> None:  # type: ignore[no-untyped-def]
    verdict, text = FAULTS[fault]
    found = observed(start(fault))
    assert [o.id for o in found] == [o.id for o in quiet]
    for o, undisturbed in zip(found, quiet, strict=True):
        if o.id != CULPRIT.id:
            assert to_line(o) == to_line(undisturbed)
        else:
            assert o.verdict == verdict, o.message
            assert text in o.message
            assert all(words in o.message for words in LAST_WORDS if fault == "segv")
            assert (fault == "crowd") == bool(o.note)
    # sanity check: the culprit was put, with calls before and after it
    at = [o.id for o in found].index(CULPRIT.id)
    assert 0 < at < len(found) - 2


def test_a_death_that_does_not_repeat_is_noted(start) -> None:  # type: ignore[no-untyped-def]
    target = start("crowd")
    clock = Clock()
    found = observed(target, clock=clock)
    (o, _) = [o for o in found if o.id == CULPRIT.id]
    assert o.note.startswith("answered when asked again, alone; before that the process died of SIGSEGV")
    summary = Summary().add_all(found)
    assert not summary.reasons(waivers_in_force([target]), strict=False, complete=False)
    assert summary.reasons(waivers_in_force([target]), strict=True, complete=False) == [
        "1 faults that did not happen again"
    ]
    clock.close([target])
    assert clock.restarts == {target.name: 1}


def test_a_death_between_calls(start, quiet: list[Observation]) -> None:  # type: ignore[no-untyped-def]
    """Who is under way then is not to blame: its answer counts."""
    found = observed(start("later"))
    assert [to_line(replace(o, note="")) for o in found] == [to_line(o) for o in quiet]
    assert {o.note.partition("; its")[0] for o in found if o.note} <= {
        "answered when asked again, alone; before that the process died of SIGBUS"
    }


def test_isolated_calls_corrupt_nobody(start, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    checks = [c for c in error_checks(DeckPart(ops=["nll_loss"], dtypes=["float32"])) if c.isolate]
    # sanity check: there are calls to keep apart
    assert isinstance(checks[0], Check)
    calls = [*CALLS[:5], *checks[:3], *CALLS[5:10]]
    target = start("corrupt")
    found = observed(target, calls)
    clean = observed(start(""), calls)
    assert [to_line(o) for o in found] == [to_line(o) for o in clean]


def test_an_isolated_call_that_ends_the_process_of_the_others_costs_itself(start) -> None:  # type: ignore[no-untyped-def]
    """It comes after them, and is asked again in a process of its own; so are those after it."""
    checks = [c for c in error_checks(DeckPart(ops=["nll_loss"], dtypes=["float32"])) if c.isolate][:3]
    deadly = replace(checks[1], source=replace(CULPRIT.problem, cotangent=None), name="deadly")
    target, clock = start("segv"), Clock()
    found = observed(target, [*CALLS[:5], checks[0], deadly, checks[2]], clock)
    clean = observed(start(""), [*CALLS[:5], checks[0], checks[2]])
    (crashed,) = [o for o in found if o.id == deadly.id]
    assert crashed.verdict == "crash"
    assert "the process died of SIGSEGV" in crashed.message
    assert [to_line(o) for o in found if o.id != deadly.id] == [to_line(o) for o in clean]
    clock.close([target])
    # The others' process, that of the second try, and that of the last call.
    assert clock.restarts == {target.name: 2}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("import", "the process died of SIGSEGV"),
        # A command that ends so is asked in every change (test_exec.py).
        pytest.param("leave", "the process ended with exit code 3", marks=nightly),
    ],
)
def test_a_worker_that_dies_at_import_is_a_usage_error(fault: str, words: str, start) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match=f"^target .*faulty.py:ADAPTER: no process starts: {words}"):
        start(fault)


@pytest.mark.parametrize(
    ("text", "mode"), [("#!/bin/sh\necho hello\n", 0o755), ("#!/bin/sh\nexit 0\n", 0o755), ("no program", 0o755)]
)
def test_an_executable_that_is_no_python_is_one_line(text: str, mode: int, tmp_path: Path) -> None:
    path = tmp_path / "python"
    path.write_text(text)
    path.chmod(0o755)
    result = lossproof("run", f"numpy@{path}", "--deck", "smoke", "--op", "softmax", "--dtype", "float32")
    assert result.exit_code == 2
    error = without_progress(result.output)
    assert error.count("\n") == 1
    assert error.startswith(f"lossproof: error: target numpy@{path}: no process starts: ")
    assert error.endswith(f"{path} has to be a Python 3.8 or newer with numpy\n")


def test_what_dies_at_its_start_is_not_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where every adapter is meant that is installed, one that does not import is not; one that dies is."""
    monkeypatch.setenv("FAULT", "import")
    entry = EntryPoint("faulty", NAME, "lossproof.adapters")
    for module in (selection, target_module):
        monkeypatch.setattr(module, "known", lambda: {"faulty": entry})
    with pytest.raises(UsageError, match=r"^target faulty: no process starts: the process died of SIGSEGV"):
        selection.choose_targets([], LIMITS)
    monkeypatch.setenv("FAULT", "refuse")
    with pytest.raises(UsageError, match="no target is installed"):
        selection.choose_targets([], LIMITS)


# After so many faults in a row nothing of the kind is asked any more. Each costs processes; how many is counted to is
# the same code.
IN_A_ROW = lane._MOST_FAULTS if WHOLE else 2


@pytest.fixture
def few_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lane._MOST_ON_END == 2 * lane._MOST_FAULTS == 40
    monkeypatch.setattr(lane, "_MOST_FAULTS", IN_A_ROW)
    monkeypatch.setattr(lane, "_MOST_ON_END", 2 * IN_A_ROW)


def lost(target: Target, calls: list[Call]) -> tuple[list[Observation], list[str]]:
    """What a target that is lost answered to single calls, and the reasons of its session."""
    source = Live([target], calls)
    session = Session(
        subjects=[target], calls=calls, deck=DeckOptions(size="smoke"), book=Book([], [target]), source=source
    )
    found = report(session)
    assert not found.ok
    return [o for o in found.observations if "/all/" not in o.id], list(found.reasons)


def asked(found: list[Observation]) -> set[str]:
    """The calls that were put; of a stack the rest is not, once the target is given up."""
    return {o.id for o in found if "not asked: " not in o.message}


@pytest.mark.usefixtures("few_faults")
def test_a_worker_that_answers_nothing_is_asked_no_more(start) -> None:  # type: ignore[no-untyped-def]
    target = start("always")
    found, reasons = lost(target, EVERYTHING)
    assert {o.verdict for o in found} == {"crash"}
    assert len(asked(found)) == IN_A_ROW
    assert len({o.id for o in found}) < 40
    text = f"was lost: not asked: the last {IN_A_ROW} calls ended like this: the process died of SIGABRT"
    assert [text in reason for reason in reasons].count(True) == 1
    assert target.adapter.restarts <= IN_A_ROW + 1


@pytest.mark.usefixtures("few_faults")
def test_a_worker_that_answers_no_more_is_asked_no_more(start) -> None:  # type: ignore[no-untyped-def]
    """As many calls of one op and then as many of another one, without an answer in between."""
    target = start("all but softmax")
    calls = sorted(EVERYTHING, key=lambda c: OPS.index(c.problem.op))
    found, reasons = lost(target, calls)
    answered = {o.id for o in found if o.verdict != "crash"}
    assert answered == {c.id for c in calls if c.problem.op == "softmax"}
    given_up = [o for o in found if f"not asked: the last {IN_A_ROW} calls of log_softmax in float32" in o.message]
    assert {o.case.op for o in given_up} == {"log_softmax"}
    assert len(asked(found) - answered) == 2 * IN_A_ROW
    assert len({o.id for o in found}) < len(calls)
    said = f"was lost: not asked: the last {2 * IN_A_ROW} calls ended like this"
    assert any(said in reason for reason in reasons)
    assert target.adapter.restarts <= 2 * IN_A_ROW + 1


@pytest.mark.usefixtures("few_faults")
def test_an_op_that_answers_nothing_is_given_up_and_no_other(start) -> None:  # type: ignore[no-untyped-def]
    """A release whose kernel of one op for one dtype always dies is judged in everything else."""
    target = start("kernel")
    calls = deck_calls("smoke", DeckPart(ops=["softmax", "log_softmax"], dtypes=["float32", "float16"]))
    # Something is answered first, and something of its op is asked afterwards.
    calls.sort(key=lambda c: (c.problem.op, c.problem.dtype != "float32"))
    found = [o for o in observed(target, calls) if "/all/" not in o.id]
    crashed = [o for o in found if o.verdict == "crash"]
    assert {(o.case.op, o.case.dtype) for o in crashed} == {("softmax", "float32")}
    assert [o.verdict for o in found if o.id.startswith("softmax/float32/")] == ["crash"] * len(crashed)
    said = f"not asked: the last {IN_A_ROW} calls of softmax in float32 ended like this"
    assert any(said in o.message for o in crashed)
    assert target.adapter.restarts <= IN_A_ROW + 1


@pytest.mark.usefixtures("few_faults")
def test_answers_that_end_their_process_are_no_faults(start) -> None:  # type: ignore[no-untyped-def]
    """However many there are, the next call is asked: what it gets is a fresh process."""
    target = start("always asserted")
    calls = DECK[: 2 * IN_A_ROW + 1]
    found = [o for o in observed(target, calls) if "/all/" not in o.id]
    assert {o.id for o in found} == {c.id for c in calls}
    assert {o.verdict for o in found} == {"fail"}
    assert all("raised bad_label: RuntimeError: device-side assert triggered" in o.message for o in found)
    assert not any(o.note for o in found)
    assert target.adapter.restarts == len(calls) - 1


@pytest.mark.usefixtures("few_faults")
def test_who_always_loses_its_process_is_given_up(start) -> None:  # type: ignore[no-untyped-def]
    target = start("always strayed")
    found, _ = lost(target, EVERYTHING)
    assert {o.verdict for o in found} == {"crash"}
    assert len(asked(found)) == IN_A_ROW
    # A call that was alone in its process is not asked again.
    assert target.adapter.restarts <= IN_A_ROW + 1


def test_an_adapter_that_raises_at_import_is_a_usage_error(start) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match=r"faulty.py:ADAPTER does not import: ImportError: a library is missing"):
        start("refuse")


def test_no_process_is_left_behind(start) -> None:  # type: ignore[no-untyped-def]
    target = start("hang")
    observed(target, DECK[: AT + 2])
    pids = [lane._process._process.pid for lane in (target.adapter._lane, target.adapter._apart) if lane._process]
    assert pids
    selection.close([target])
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def test_a_worker_that_has_lost_its_engine_ends(tmp_path: Path) -> None:
    """Even in native code that never returns: nothing but a signal can end it then."""
    file = tmp_path / "pid"
    program = (
        "from lossproof.targets import selection; from lossproof.targets.launch import Processes; "
        "from lossproof.targets.process import Process; from lossproof.running.loop import run; "
        "from tests.targets.test_faults import CULPRIT, NAME; "
        # The worker gets a second for a call; the engine waits for as long as it lives.
        "Process._watch = lambda *_: None; "
        "list(run(selection.choose_targets([NAME], Processes(timeout=0.5)), [CULPRIT]))"
    )
    environment = {**os.environ, "FAULT": "spin", "PID_FILE": str(file), "PYTHONPATH": str(Path(__file__).parents[2])}
    engine = subprocess.Popen([sys.executable, "-c", program], env=environment)
    wait_for(lambda: file.exists() or engine.poll() is not None)
    engine.kill()
    engine.wait()
    pid = int(file.read_text())
    wait_for(lambda: not is_alive(pid))


def wait_for(condition: Callable[[], object]) -> None:
    """Wait for what must come, however long a busy machine takes; the limit is for what hangs."""
    deadline = time.monotonic() + 900
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether a process runs; what nobody has waited for is dead, too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
