"""A run that is killed leaves a readable record, and ``--resume`` completes it: nothing lost, nothing twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from lossproof.running.resume import difference
from tests.support.thinned import WHOLE, nightly
from tests.support.timeless import timeless_lines
from tests.support.views import install, lossproof, without_progress

timeless = partial(timeless_lines, without=("command", "environment"))
_SOME = ("--op", "softmax", "--op", "nll_loss", "--exclude", "nll_loss/*/error/*")
IN_WORKERS = ("--deck", "smoke", *_SOME, *(() if WHOLE else ("--dtype", "float16")))
# To start workers takes longer than what they are asked, and a record is cut in the same way.
SMOKE = (*IN_WORKERS, "--in-process")
TARGETS = ("numpy", "crooked")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with another one that the second target is installed in."""
    made = tmp_path_factory.mktemp("whole")
    install(made / "site")
    return made


def straight(folder: Path, name: str, options: tuple[str, ...]) -> Path:
    """The record of a run that nothing cuts short."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder / "site"))
        assert lossproof("run", *TARGETS, *options, "--record", str(folder / name)).exit_code == 1
    return folder / name


@pytest.fixture(scope="module")
def whole(folder: Path) -> Path:
    return straight(folder, "r.jsonl", SMOKE)


@pytest.fixture(scope="module")
def whole_of_workers(folder: Path) -> Path:
    return straight(folder, "workers.jsonl", IN_WORKERS)


@pytest.fixture(autouse=True)
def site(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(folder / "site"))
    return folder / "site"


CUTS = [0, "0.4", "1.0", *(pytest.param(cut, marks=nightly) for cut in (30, "0.0", "0.01", "0.777", "0.999"))]


@pytest.mark.parametrize("cut", CUTS)
def test_a_record_cut_anywhere_is_completed(cut: int | str, whole: Path, tmp_path: Path) -> None:
    """Cut to so many bytes, or to a share of what follows the header; in the midst of a line and between two."""
    data = whole.read_bytes()
    head = data.index(b"\n") + 1
    at = cut if isinstance(cut, int) else head + int(float(cut) * (len(data) - head))
    ends = [at, data.rfind(b"\n", 0, at) + 1]
    for n, end in enumerate(ends):
        path = tmp_path / f"{n}.jsonl"
        path.write_bytes(data[:end])
        result = lossproof("run", *TARGETS, *SMOKE, "--record", str(path), "--resume")
        assert result.exit_code == 1, result.output
        assert timeless(path) == timeless(whole)


def test_a_resumed_run_shows_what_a_whole_run_shows(whole: Path, tmp_path: Path) -> None:
    lines = whole.read_bytes().splitlines(keepends=True)
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"".join(lines[: len(lines) // 2]))
    resumed = lossproof("run", *TARGETS, *SMOKE, "--record", str(path), "--resume").stdout
    again = lossproof("run", *TARGETS, *SMOKE, "--record", str(path), "--resume").stdout
    whole_run = lossproof("run", *TARGETS, *SMOKE).stdout

    def shown(text: str) -> list[str]:
        start = next(i for i, line in enumerate(text.splitlines()) if line.startswith("Time in seconds"))
        return [*text.splitlines()[:start], text.splitlines()[-1]]

    assert shown(resumed) == shown(whole_run)
    assert shown(again) == shown(whole_run)


def test_a_complete_record_is_left_alone(whole: Path) -> None:
    before = whole.read_bytes()
    assert lossproof("run", *TARGETS, *SMOKE, "--record", str(whole), "--resume").exit_code == 1
    assert whole.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("numpy", *SMOKE), "targets.crooked was {"),
        ((*TARGETS, *SMOKE, "--seed", "1"), "deck.digest was "),
        ((*TARGETS, *SMOKE, "--dtype", "float32", "--dtype", "float64"), "deck.digest was "),
        ((*TARGETS, *IN_WORKERS), "targets.numpy.python was "),
    ],
)
def test_another_run_is_refused(arguments: tuple[str, ...], message: str, whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(whole.read_bytes()[:-200])
    before = path.read_bytes()
    result = lossproof("run", *arguments, "--record", str(path), "--resume")
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(without_progress(result.stderr).splitlines()) == 1
    assert path.read_bytes() == before


def test_foreign_files_are_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("my notes")
    result = lossproof("run", *TARGETS, *SMOKE, "--record", str(path), "--resume")
    assert result.exit_code == 2
    assert "not a lossproof record" in result.stderr
    assert path.read_text() == "my notes"


def test_compressed_records_are_not_resumed(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl.gz"
    command = ("run", "numpy", *SMOKE, "--quiet", "--record", str(path), "--resume")
    assert lossproof(*command).exit_code == 0, "there is nothing to resume yet"
    before = path.read_bytes()
    result = lossproof(*command)
    assert result.exit_code == 2
    assert "it is compressed" in result.stderr
    assert path.read_bytes() == before


def test_resume_needs_a_record() -> None:
    result = lossproof("run", "numpy", "--resume")
    assert result.exit_code == 2
    assert "--resume needs the record" in result.stderr


def test_differences_are_named() -> None:
    assert difference({"a": {"b": 1}}, {"a": {"b": 1}}, "x") == ""
    assert difference({"a": {"b": 1}}, {"a": {"b": 2}}, "x") == "x.a.b was 1 and is 2"
    assert difference({}, {"a": 1}, "x") == "x.a was null and is 1"


@pytest.mark.parametrize("observations", [pytest.param(n, marks=nightly) for n in (1, 60, 170)])
def test_a_killed_run_is_completed(observations: int, whole_of_workers: Path, tmp_path: Path, site: Path) -> None:
    """SIGKILL, for the engine alone: its workers notice."""
    path = tmp_path / "r.jsonl"
    arguments = ("run", *TARGETS, *IN_WORKERS, "--record", str(path), "--resume")
    environment = {**os.environ, "PYTHONPATH": str(site)}
    process = subprocess.Popen(
        [sys.executable, "-m", "lossproof", *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 1800
    while time.monotonic() < deadline and process.poll() is None:
        if path.exists() and path.read_bytes().count(b"\n") > observations:
            break
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert lossproof(*arguments).exit_code == 1
    assert timeless(path) == timeless(whole_of_workers)
