"""A run on the workers of a cluster says what goes wrong there, in a line. Its record is looked at beside the cluster's
other tests, in ``test_scheduled.py``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lossproof import __version__
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.running import scheduled_run
from lossproof.running.scheduled_run import TargetResult, introduced_anywhere, judged_anywhere
from lossproof.running.session_options import DeckOptions, Execution
from tests.support.views import lossproof

PLANTED = f"{Path(__file__).parents[1] / 'support' / 'planted.py'}:ADAPTER"
SMOKE = ("--deck", "smoke", "--op", "softmax", "--dtype", "float32", "--dtype", "float16", "--quiet")
TARGETS = ("numpy", PLANTED)
DECK, IN_PROCESS = DeckOptions(size="smoke", ops=("softmax",), dtypes=("float32",)), Execution(in_process=True)
SOME = Observation("softmax/float32/ordinary/n1-k2/00000000", "value", "numpy", "pass")


@dataclass
class Task:
    work: Callable[[], Any]

    def result(self) -> Any:
        return self.work()


@dataclass
class Inline:
    """A client whose one worker is this process, and answers of a target what it is given."""

    given: Callable[[str, DeckOptions, Execution, str], TargetResult] = judged_anywhere

    def submit(self, work: object, *asked: Any, **how: object) -> Task:
        if work is introduced_anywhere:
            return Task(partial(introduced_anywhere, *asked))
        # sanity check: nothing else is put to workers
        assert work is judged_anywhere
        return Task(partial(self.given, *asked))

    def scheduler_info(self) -> dict[str, Any]:
        return {"workers": {"tcp://here": {"resources": {}}}}

    def close(self) -> None: ...


def run_of(monkeypatch: pytest.MonkeyPatch, *given: Callable[..., TargetResult]) -> Any:
    monkeypatch.setattr(scheduled_run, "connected", lambda address: Inline(*given))
    return lossproof("run", *TARGETS, *SMOKE, "--no-cache", "--scheduler", "somewhere")


def test_a_target_that_no_worker_judges_is_lost_and_the_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def dying(name: str, *asked: Any) -> TargetResult:
        if name == "numpy":
            raise OSError("the worker died")
        return judged_anywhere(name, *asked)

    result = run_of(monkeypatch, dying)
    assert result.exit_code == 1
    assert "numpy was lost: no worker judged it to its end: the worker died" in result.output
    assert "planted softmax float32 dominating value" in result.output


def test_what_a_worker_says_of_its_user_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*asked: Any) -> TargetResult:
        raise UsageError("unknown target")

    result = run_of(monkeypatch, refusing)
    assert (result.exit_code, "unknown target" in result.stderr) == (2, True)


def test_another_deck_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run_of(monkeypatch, lambda *asked: TargetResult([SOME], {}, {}))
    assert result.exit_code == 2
    assert "the worker of numpy has judged another deck, with softmax/float32/ordinary/n1-k2/00000000" in result.stderr


def test_a_worker_has_the_same_lossproof() -> None:
    for work in (
        partial(judged_anywhere, "numpy", DECK, IN_PROCESS, "0.0.1"),
        partial(introduced_anywhere, "numpy", IN_PROCESS, "0.0.1"),
    ):
        with pytest.raises(UsageError, match=r"a worker has lossproof .* expected 0\.0\.1; update the cluster"):
            work()


def test_a_target_that_does_not_start_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduled_run, "connected", lambda address: Inline())
    result = lossproof("run", "nowhere", *SMOKE, "--scheduler", "somewhere")
    assert (result.exit_code, "unknown target 'nowhere'" in result.stderr) == (2, True)


def test_a_cluster_without_a_worker_that_answers_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Dead(Inline):
        def submit(self, work: object, *asked: Any, **how: object) -> Task:
            def died() -> None:
                raise OSError("the worker died")

            return Task(died)

    monkeypatch.setattr(scheduled_run, "connected", lambda address: Dead())
    result = lossproof("run", "numpy", *SMOKE, "--scheduler", "somewhere")
    assert (result.exit_code, "no worker says what its targets are: the worker died" in result.stderr) == (2, True)


def test_a_distant_target_writes_its_programs_here() -> None:
    (one,) = introduced_anywhere(PLANTED, Execution(), __version__)
    target = one.target()
    assert (target.name, target.capabilities) == (PLANTED, one.hello["capabilities"])
    (numpy,) = introduced_anywhere("numpy", Execution(), __version__)
    assert "numpy" in numpy.target().script(DECK.calls()[0].problem)


@pytest.mark.parametrize("other", [("--resume", "--record", "r.jsonl"), ("--in-process",)])
def test_whole_targets_are_judged_elsewhere(other: tuple[str, ...], tmp_path: Path) -> None:
    result = lossproof("run", "numpy", "--scheduler", "local", *other)
    assert result.exit_code == 2
    assert "leave out --resume and --in-process" in result.stderr
