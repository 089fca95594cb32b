"""A script that carries a deck: played in another environment, judged here, and the verdicts of a run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossproof.adapters.play import SUFFIX, Step, plan
from lossproof.adapters.protocol import DTYPES, OPS, Capabilities, Problem, Support
from lossproof.cases.catalogue import select
from lossproof.cli.commands import detached
from lossproof.running.detached import FOLLOW
from lossproof.running.session_options import DeckOptions
from tests.support.killed import named
from tests.support.thinned import WHOLE, nightly
from tests.support.views import lossproof
from tests.targets.test_worker import old_interpreter

KILLED = f"{Path(__file__).parents[1] / 'support' / 'killed.py'}:ADAPTER"
CALL = next(c for c in select("smoke", ops=["log_softmax"], families=["ordinary"]) if isinstance(c.source, Problem))
CULPRIT = named(CALL.problem)
# What is carried is calls, whatever they are.
SOME = OPS if WHOLE else ("log_softmax",)
SOME_DTYPES = DTYPES if WHOLE else (CALL.problem.dtype, "float16")
CPU = Capabilities(ops={"softmax": Support("native")})
CARD = Capabilities(
    ops={"softmax": Support("native")},
    devices=("cpu", "cuda:0", "cuda:1"),
    modes=("eager", "compile", "other"),
    by_mode={"compile": {"compile_cost": "dear"}},
)


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("carried") / "judged.py"
    with pytest.MonkeyPatch.context() as patch:
        # The command has no filters.
        patch.setattr(detached, "DeckOptions", partial(DeckOptions, ops=SOME, dtypes=SOME_DTYPES))
        result = lossproof("gpu", "--script", str(path), "--deck", "smoke")
    assert result.exit_code == 0, result.output
    return path


@pytest.fixture(scope="module")
def run_here(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    record = tmp_path_factory.mktemp("here") / "here.jsonl"
    some = [*(w for op in SOME for w in ("--op", op)), *(w for d in SOME_DTYPES for w in ("--dtype", d))]
    assert lossproof("run", "numpy", "--deck", "smoke", *some, "--record", str(record)).exit_code == 0
    return lines(record)


def lines(path: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in found[1:-1]]


def play(script: Path, *arguments: str, python: str = sys.executable, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [python, script, *arguments],
        cwd=script.parent,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=1800,
    )
    return done.returncode, done.stderr


def judged(bundle: Path, tmp_path: Path, code: int = 0) -> list[dict[str, Any]]:
    record = tmp_path / f"{bundle.name}.jsonl"
    result = lossproof("judge", str(bundle), "--record", str(record))
    assert result.exit_code == code, result.output
    return lines(record)


def differing(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines of the first that are others in the second, but for what cannot be asked detached."""
    assert len(a) == len(b) > (1000 if WHOLE else 80)
    return [one for one, other in zip(a, b, strict=True) if one != other and one["message"] != FOLLOW]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An environment with NumPy and nothing else."""
    place = tmp_path_factory.mktemp("elsewhere")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    site = next(place.glob("lib/python*/site-packages"))
    for folder in Path(np.__file__).parents[1].glob("numpy*"):
        (site / folder.name).symlink_to(folder)
    python = str(place / "bin" / "python")
    # sanity check: the engine is not there
    assert subprocess.run([python, "-I", "-c", "import lossproof"], capture_output=True, check=False).returncode == 1
    return python


def test_the_bundle_of_another_environment_is_judged_as_a_run(
    script: Path, run_here: list[dict[str, Any]], elsewhere: str, tmp_path: Path
) -> None:
    bundle, tar = tmp_path / "bundle", tmp_path / "bundle.tar.gz"
    code, said = play(script, str(bundle), "--target", "numpy", python=elsewhere)
    assert code == 0, said
    found = judged(tar, tmp_path)
    assert differing(found, run_here) == []
    assert judged(bundle, tmp_path) == found
    summary = json.loads((bundle / "summary.json").read_text())
    assert [(s["target"], s["exit_codes"], s["ended"]) for s in summary["steps"]] == [("numpy+eager:cpu", [0], "done")]
    assert (bundle / "nvidia-smi.txt").read_text()


def test_an_old_interpreter_with_numpy_will_do(script: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    code, said = play(script, str(bundle), "--target", "numpy", python=old_interpreter())
    assert code == 0, said
    judged(bundle, tmp_path)


@nightly
def test_a_worker_that_is_killed_once_costs_nothing(
    script: Path, run_here: list[dict[str, Any]], tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    once = {"CULPRIT": CULPRIT, "ONCE": str(tmp_path / "once")}
    code, said = play(script, str(bundle), "--target", KILLED, **once)
    assert code == 0, said
    (step,) = json.loads((bundle / "summary.json").read_text())["steps"]
    assert step["exit_codes"] == [-signal.SIGKILL, 0]
    assert differing(judged(bundle, tmp_path), run_here) == []


def test_a_call_that_kills_its_worker_costs_itself(
    script: Path, run_here: list[dict[str, Any]], tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    code, said = play(script, str(bundle), "--target", KILLED, CULPRIT=CULPRIT)
    assert code == 0, said
    (step,) = json.loads((bundle / "summary.json").read_text())["steps"]
    assert step["exit_codes"] == [-signal.SIGKILL, -signal.SIGKILL, 0]
    lost = differing(judged(bundle, tmp_path, code=1), run_here)
    assert {o["verdict"] for o in lost} == {"crash"}
    assert {o["id"] for o in lost} == {CALL.id}


def test_a_target_whose_time_is_over_costs_itself(script: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    slow = tmp_path / "slow.py"
    slow.write_text(
        "import time\nfrom lossproof.adapters.numpy import NumpyAdapter\n\n\nclass Slow(NumpyAdapter):\n"
        "    def evaluate(self, *asked):\n        time.sleep(600)\n\n\nADAPTER = OTHER = Slow()\n"
    )
    code, said = play(script, str(bundle), "--target", f"{slow}:ADAPTER", "--target", f"{slow}:OTHER", "--seconds", "6")
    assert code == 1, said
    ended = [s["ended"] for s in json.loads((bundle / "summary.json").read_text())["steps"]]
    assert ended == ["ended after 6 seconds, with what it had answered"] * 2
    result = lossproof("judge", str(bundle))
    assert result.exit_code == 1
    assert "calls without an answer in" in " ".join(result.stdout.split())


def test_what_is_not_there_is_said(script: Path, elsewhere: str, tmp_path: Path) -> None:
    none, absent, used = tmp_path / "none", tmp_path / "absent", tmp_path / "used"
    code, said = play(script, str(none), python=elsewhere)
    assert code == 2
    assert "torch: ModuleNotFoundError: No module named 'torch'" in said
    assert "nothing to play: no framework here has a device besides the CPU" in said
    wanted = ("--target", "numpy:cuda", "--target", "numpy+jit", "--target", "ghost")
    assert play(script, str(absent), *wanted, python=elsewhere)[0] == 1
    summary = json.loads((absent / "summary.json").read_text())
    assert [s["ended"] for s in summary["steps"]] == [
        "skipped: numpy has no device cuda here; it has cpu",
        "skipped: numpy has no mode jit here; it has eager",
    ]
    assert "No module named 'lossproof.adapters.ghost'" in summary["adapters"]["ghost"]
    used.mkdir()
    (used / "notes").touch()
    code, said = play(script, str(used), python=elsewhere)
    assert (code, said.splitlines()) == (1, [f"{used} exists; expected the name of a new folder"])
    code, said = play(script, str(tmp_path / "x"), "--target", "+", python=elsewhere)
    assert "expected NAME[+MODE][:DEVICE]" in said


def test_devices_come_first_and_what_compiles_last() -> None:
    offers = {"numpy": CPU, "torch": CARD}
    assert [s.target for s in plan([], offers)] == [
        "torch+eager:cuda:0",
        "torch+eager:cuda:1",
        "torch+other:cuda:0",
        "torch+other:cuda:1",
        "torch+compile:cuda:0",
        "torch+compile:cuda:1",
    ]
    assert plan([("torch", "", "cuda"), ("ghost", "", "")], offers) == [Step("torch", "eager", "cuda:0")]


def test_mistakes_of_bundles_are_one_line(script: Path, tmp_path: Path) -> None:
    empty, cut = tmp_path / "empty", tmp_path / "cut.tar.gz"
    empty.mkdir()
    (tmp_path / "some").mkdir()
    (tmp_path / "judged").mkdir()
    (tmp_path / "judged" / "01-smoke.jsonl").touch()
    (tmp_path / "some" / f"numpy{SUFFIX}").write_bytes(os.urandom(100000))
    with tarfile.open(cut, "w:gz") as tar:
        tar.add(tmp_path / "some", "some")
    cut.write_bytes(cut.read_bytes()[:50000])
    for arguments, message in (
        (("judge", str(empty)), "has no answers; its summary.json says why"),
        (("judge", str(cut)), "cannot read bundle"),
        (("judge", str(tmp_path / "judged")), "has records, which are judged; expected answers"),
        (("gpu", "--script", str(script)), "exists; expected the name of a new file"),
        (("gpu", "--script", "/proc/nosuch"), "cannot write /proc/nosuch"),
    ):
        result = lossproof(*arguments)
        assert result.exit_code == 2, result.output
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1
