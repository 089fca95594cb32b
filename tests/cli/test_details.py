"""Figures, exit codes and options of commands that are easily lost on the way: mutants lost them unseen."""

from __future__ import annotations

import contextlib
import errno
import gzip
import json
import re
import sqlite3
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import Capabilities, Description
from lossproof.cli.commands import check, detached, giant, offers, repro, run, soak, upgrade
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.functions.declaration import Declaration
from lossproof.judging.fused import compiler
from lossproof.records import judgement_store
from lossproof.records.record import Writer, read_record
from lossproof.targets import selection
from lossproof.targets.environments import interpreters, store
from lossproof.targets.target import Target
from lossproof.views.html.accuracy import Spread
from lossproof.views.sweep_tables import SweepTables
from tests.cli.test_bisect import CASE
from tests.cli.test_doctor import HEALTHY
from tests.support.stand_ins import maker
from tests.support.views import lossproof

MIB = 2**20
LOUD = """\
import warnings

import numpy as np


def softmax(x, axis):
    if x.shape[0] > 3:
        warnings.warn("more than three rows", RuntimeWarning)
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def gradient(x, cotangent, axis):
    p = softmax(x, axis)
    return p * (cotangent - (p * cotangent).sum(axis=axis, keepdims=True))
"""
TARGET = {"adapter": "numpy", "device": "cpu", "mode": "eager", "versions": {"numpy": "2.4.0"}}


class StoppedError(UsageError):
    """The command has come as far as it need."""


class Noted:
    """A stand-in that notes the options that it is called with, and stops the command."""

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}

    def __call__(self, *_: object, **given: Any) -> Any:
        self.given |= given
        raise StoppedError("as far as it need")


@pytest.fixture
def noted() -> Noted:
    return Noted()


def a_record(path: Path) -> list[str]:
    """Write a record of a pass and two failures; its lines."""
    header = {"deck": {"size": "smoke", "seed": 0}, "targets": {"numpy": TARGET}}
    with Writer(path, header) as writer:
        for n, verdict in enumerate(("pass", "fail", "fail")):
            writer.write(Observation(f"softmax/float32/hot/n2-k4/{n:08x}", "value", "numpy", verdict, ulp=n / 8))
        writer.end({})
    return path.read_text("utf-8").splitlines()


def test_the_cache_says_how_much_of_it_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSPROOF_CACHE", str(tmp_path))
    store_ = judgement_store.JudgementStore(tmp_path / "judgements.sqlite")
    store_.put(b"sixteen bytes ok", "verdict")
    store_.close()
    shown = lossproof("cache")
    assert shown.exit_code == 0
    said = shown.stdout
    assert f"judgements of 1 answers, 0.0 of at most {judgement_store.MOST_BYTES // MIB} MiB, the oldest used" in said
    compiled = compiler.folders() / "any"
    compiled.mkdir(parents=True)
    (compiled / "code").write_bytes(bytes(3 * MIB // 2))
    result = lossproof("cache", "--clear")
    assert (result.exit_code, f"deleted {compiler.folders()} (1.5 MiB)" in result.stdout) == (0, True)
    assert not compiled.exists()


def test_a_store_of_another_format_is_made_anew(tmp_path: Path) -> None:
    """What an earlier lossproof has judged is used by a later one of the same format, of which there has been one."""
    path = tmp_path / "judgements.sqlite"
    kept = judgement_store.JudgementStore(path)
    kept.put(b"sixteen bytes ok", "verdict")
    kept.close()
    with sqlite3.connect(path) as file:
        assert file.execute("pragma user_version").fetchone() == (1,)


def test_the_doctor_counts_memory_in_gib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossproof.cli.commands.doctor.look", lambda start: HEALTHY)
    said = lossproof("doctor").stdout
    assert "4 cores, 16 GiB of memory" in said
    assert "folder of caches: /caches, 40.0 GiB free" in said
    monkeypatch.setattr("lossproof.cli.commands.doctor.look", lambda start: replace(HEALTHY, memory=2**30))
    assert lossproof("doctor").stdout.splitlines()[-1] == "1 problem"


@pytest.mark.parametrize("mean", ["mean", "mean_over_rows"])
def test_another_mean_is_said_of_a_target(mean: str) -> None:
    class Other(NumpyAdapter):
        def capabilities(self) -> Capabilities:
            return replace(super().capabilities(), mean=mean)

        def describe(self) -> Description:
            return replace(super().describe(), facts={})

    lines = offers._lines(Target(Other()))
    assert [line for line in lines if "reduction" in line] == (
        [] if mean == "mean" else [f"  reduction mean is {mean}"]
    )


@pytest.mark.parametrize(
    ("options", "timed"), [((), False), (("--record",), True), (("--record", "--no-kernel-times"), False)]
)
def test_kernels_are_timed_for_a_record(
    options: tuple[str, ...], timed: bool, noted: Noted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "opened", noted)
    words = [word for o in options for word in ((o, str(tmp_path / "r.jsonl")) if o == "--record" else (o,))]
    assert lossproof("run", "numpy", "--op", "softmax", *words).exit_code == 2
    assert noted.given["execution"].times_kernels is timed


def test_waivers_of_the_user_are_those_of_giants_and_soaks(noted: Noted, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, options in ((giant, "opened_giants", ()), (soak, "opened_soak", ("--hours", "1"))):
        monkeypatch.setattr(module, name, noted)
        result = lossproof(module.__name__.rpartition(".")[2], "numpy", *options, "--strict", "--waivers", "own.toml")
        assert result.stderr == "lossproof: error: as far as it need\n"
        assert (noted.given["rules"].waivers, noted.given["rules"].strict) == (("own.toml",), True)
        # What is going on is told while it does.
        assert callable(noted.given["tell"])
        noted.given.clear()


def test_giants_have_the_gib_that_they_are_given(noted: Noted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(giant, "opened_giants", noted)
    monkeypatch.setattr(giant, "physical_memory", lambda: 6 * 2**30)
    lossproof("giant", "numpy", "--memory", "1.5")
    assert (noted.given["most"], noted.given["execution"].memory) == (3 * 2**29, 6.0)


def test_a_soak_has_the_tables_of_a_sweep(noted: Noted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "opened_soak", lambda *_, **__: contextlib.ExitStack())
    monkeypatch.setattr(soak, "told", noted)
    lossproof("soak", "numpy", "--hours", "1")
    assert isinstance(noted.given["tables"], SweepTables)


def test_a_bisection_has_the_interpreter_that_it_is_given(
    noted: Noted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = maker(tmp_path, monkeypatch)
    monkeypatch.setattr(store, "create", noted)
    options = ("--deck", "smoke", "--package", "released", "--versions", "2", "--good", "1", "--bad", "3")
    said = lossproof("bisect", made.target, CASE, *options, "--python", "3.11")
    assert "1: passed over: as far as it need" in said.stdout
    assert noted.given["python"] == "3.11"


def test_answers_of_a_target_with_variables_are_named_after_them() -> None:
    class Heard(NumpyAdapter):
        def __init__(self, **variables: str) -> None:
            super().__init__()
            self.hello = {"mode": "eager", "device": "cpu", "variables": variables}
            self.path = Path("answers")

    found = detached.targets_of_files([Heard(), Heard(THREADS="2")])  # type: ignore[list-item]
    assert [t.name for t in found] == ["numpy", "numpy%THREADS=2"]


@pytest.mark.parametrize(("version", "is_old"), [((3, 7, 17), True), ((3, 8, 0), False)])
def test_the_oldest_python_of_a_target(version: tuple[int, int, int], is_old: bool) -> None:
    found = interpreters.Interpreter(Path("python"), version, "given")
    if not is_old:
        assert interpreters._not_too_old(found) is found
        return
    with pytest.raises(UsageError, match=r"Python 3\.7\.17 is too old"):
        interpreters._not_too_old(found)


def test_lines_of_a_record_are_shown_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    lines = a_record(path)
    shown = lossproof("show", str(path), "--json")
    assert (shown.exit_code, shown.stdout.splitlines()) == (0, lines[1:-1])


def test_single_observations_are_listed_where_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    a_record(path)
    # Failures are in the tables in any case, with their ids.
    for options, listed in (((), 0), (("--verdict", "pass"), 1), (("--limit", "1"), 1), (("--limit", "0"), 0)):
        said = lossproof("show", str(path), *options).stdout
        assert said.count("hot/n2-k4/00000000  value") == listed


def test_records_are_equal_however_far_they_were_read(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    a_record(path)
    one, other = read_record(path), read_record(path)
    assert one.end() == {"observations": 3}
    assert one == other
    with gzip.open(tmp_path / "r.jsonl.gz", "wb") as packed:
        packed.write(path.read_bytes())
    assert read_record(tmp_path / "r.jsonl.gz") != one


def test_what_a_function_warns_of_is_no_news(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loud.py").write_text(LOUD)
    monkeypatch.chdir(tmp_path)
    few = ("--dtype", "float32", "--deck", "smoke", "--in-process", "--rank", "2", "--no-errors", "--quiet")
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        result = lossproof("check", "loud.py:softmax", "--grad", "gradient", "--output", "value", *few, "--record", "r")
    assert result.exit_code == 0, result.output
    assert [str(w.message) for w in heard if "row" in str(w.message)] == []
    assert {o.output for o in read_record(tmp_path / "r") if o.verdict == "pass"} == {"value"}


def test_what_explains_a_finding_is_no_part_of_its_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loud.py").write_text(LOUD.replace("x - x.max(axis=axis, keepdims=True)", "x"))
    monkeypatch.chdir(tmp_path)
    few = ("--dtype", "float32", "--deck", "smoke", "--rank", "2", "--no-errors")
    result = lossproof("check", "loud.py:softmax", *few, "--json")
    assert (result.exit_code, json.loads(result.stdout)["ok"]) == (1, False), result.output
    assert "the maximum of the row is not subtracted before exp" in result.stderr


@pytest.mark.parametrize(("options", "differentiated"), [((), True), (("--no-autodiff",), False)])
def test_derivatives_of_the_framework_are_left_out_where_that_is_said(
    options: tuple[str, ...], differentiated: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared: list[bool] = []

    def session(_: object, declaration: Declaration, asked: object) -> None:
        declared.append(declaration.autodiff)
        raise StoppedError("as far as it need")

    (tmp_path / "loud.py").write_text(LOUD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(check, "function_session", session)
    assert lossproof("check", "loud.py:softmax", *options).exit_code == 2
    assert declared == [differentiated]


@pytest.mark.parametrize(
    ("options", "timed"), [((), True), (("--deck", "smoke"), False), (("--no-kernel-times",), False)]
)
def test_kernels_are_timed_for_an_upgrade(
    options: tuple[str, ...], timed: bool, noted: Noted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = maker(tmp_path, monkeypatch)
    monkeypatch.setattr(upgrade, "opened", noted)
    both = ("released==1", "released==2", "--target", made.target, "--op", "softmax", "--dtype", "float16")
    assert lossproof("upgrade", *both, *options).exit_code == 2
    assert noted.given["execution"].times_kernels is timed


def test_the_folder_of_an_upgrade_is_made_with_those_above_it(tmp_path: Path) -> None:
    with upgrade._folder(str(tmp_path / "a" / "b")) as made:
        assert made.is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(UsageError) as caught, upgrade._folder(str(tmp_path / "file" / "b")):
        pass
    assert str(caught.value) == f"cannot make the folder {tmp_path / 'file' / 'b'}: Not a directory"


def test_a_program_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    place = tmp_path / "none" / "program.py"
    with pytest.raises(UsageError) as caught:
        repro._write("text", str(place))
    assert (
        str(caught.value)
        == f"cannot write {place}: {FileNotFoundError(errno.ENOENT, 'No such file or directory').strerror}"
    )


def test_a_run_that_is_interrupted_is_no_comparison(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = maker(tmp_path, monkeypatch)
    monkeypatch.setattr("lossproof.cli.commands.upgrade._play", lambda *_: [])
    monkeypatch.setattr("lossproof.cli.commands.upgrade._all_differ", lambda *_: None)
    result = lossproof(
        "upgrade", "released==1", "released==2", "--target", made.target, "--deck", "smoke", "--op", "softmax"
    )
    assert result.exit_code == 130, result.output


def test_cells_of_coverage_are_under_a_heading() -> None:
    said = lossproof("deck", "coverage", "--deck", "smoke", "--op", "softmax").stdout
    heads = [line for line in said.splitlines() if "f64" in line and line.startswith("┃")]
    assert {"cell"} == {line.split("┃")[1].strip() for line in heads}


def test_quantiles_go_from_the_least_to_the_worst() -> None:
    spread = Spread()
    for n in range(9):
        spread.add(Observation("softmax/float32/hot/n2-k4/0", "value", "numpy", "pass", share=n / 8, ulp=float(n)))
    assert spread.facts()["share"] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert spread.facts()["ulp"] == [0.0, 2.0, 4.0, 6.0, 8.0]


@pytest.mark.parametrize("options", [("--workers", "2"), ("--in-process",)])
def test_a_sweep_has_a_scheduler_or_workers_of_its_own(options: tuple[str, ...]) -> None:
    result = lossproof("sweep", "numpy", "--scheduler", "local", *options)
    assert (result.exit_code, result.stderr.count("leave out")) == (2, 1), result.output


def test_drafts_without_faults_are_a_success(tmp_path: Path) -> None:
    a_record(tmp_path / "r.jsonl")
    result = lossproof("waive", str(tmp_path / "r.jsonl"))
    assert (result.exit_code, result.stdout.count("[[waiver]]")) == (0, 1), result.output
    assert result.stdout == result.stdout.rstrip("\n") + "\n"
    assert re.fullmatch(r"lossproof: 1 entr\w+ for 2 failures; each waits for its reason and .*\n", result.stderr)
    with Writer(tmp_path / "none.jsonl", {"deck": {"size": "smoke"}, "targets": {"numpy": TARGET}}) as writer:
        writer.end({})
    nothing = lossproof("waive", str(tmp_path / "none.jsonl")).stderr
    assert nothing == "lossproof: no failure that a waiver could speak of, and none does\n"


def test_targets_are_listed_with_success() -> None:
    result = lossproof("targets")
    assert (result.exit_code, "\ntfjs: a program; lossproof targets tfjs says" in result.stdout) == (0, True)
    assert selection.PROCESSES is not None
