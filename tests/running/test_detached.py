"""Detached evaluation: an exported deck, a bare worker, and the same report as a run's; broken off and gone on with."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lossproof.adapters import processor, wire
from lossproof.cases.catalogue import select
from lossproof.core.recipe import Recipe
from lossproof.running.detached import FOLLOW
from tests.support.faulty import MAGIC
from tests.support.thinned import WHOLE, nightly
from tests.support.views import lossproof
from tests.targets.test_faults import CULPRIT
from tests.targets.test_worker import old_interpreter

# Softmax has all kinds of calls, cross-entropy those that follow others; its errors, of which there are hundreds, are
# those of the other ops.
_FAMILIES = ("ordinary", "nan_row", "positive_infinity", "relation", "error")
_EXCLUDED = ("--exclude", "cross_entropy/*/error/*", *(word for name in _FAMILIES for word in ("--family", name)))
_SOME = () if WHOLE else ("--op", "softmax", "--op", "cross_entropy", *_EXCLUDED)
_PART = () if WHOLE else ("--dtype", "float32")
DECK = ("--deck", "smoke", "--dtype", "float32", *_SOME)
FAULTY = f"{Path(__file__).parents[1] / 'support' / 'faulty.py'}:ADAPTER"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("detached") / "away"
    result = lossproof("deck", "export", str(folder), *DECK, "--timeout", "600")
    assert result.exit_code == 0, result.output
    assert re.search(r"away: \d+ calls", result.stdout)
    return folder


def command(adapter: str = "numpy", *options: str, python: str = sys.executable) -> list[str]:
    """What README.txt says, with the interpreter and the adapter filled in."""
    return [python, "-I", "adapters/boot.py", "adapters", adapter, *options]


def evaluate(folder: Path, answers: Path, *arguments: str, deck: Path | None = None, **environment: str) -> int:
    """The worker with its input and output from files, as a shell starts it."""
    with (deck or folder / "deck").open("rb") as source, answers.open("ab") as sink:
        return subprocess.run(
            list(arguments) or command(),
            cwd=folder,
            stdin=source,
            stdout=sink,
            stderr=subprocess.PIPE,
            env={**os.environ, **environment},
            check=False,
            timeout=1800,
        ).returncode


def lines(path: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in found[1:-1]]


@pytest.fixture(scope="module")
def answered(exported: Path) -> Path:
    answers = exported.parent / "answers"
    assert evaluate(exported, answers) == 0
    return answers


def test_the_report_is_that_of_a_run(answered: Path, tmp_path: Path) -> None:
    there, here = tmp_path / "there.jsonl", tmp_path / "here.jsonl"
    judged = lossproof("judge", str(answered), "--record", str(there))
    ran = lossproof("run", "numpy", *DECK, "--record", str(here))
    assert judged.exit_code == ran.exit_code == 0, judged.output
    differing = [(a, b) for a, b in zip(lines(there), lines(here), strict=True) if a != b]
    assert {a["verdict"] for a, _ in differing} == {"unsupported"}
    assert {a["message"] for a, _ in differing} == {FOLLOW}
    assert FOLLOW in judged.stdout, "what was not asked is counted"
    head = json.loads(there.read_text().splitlines()[0])
    assert head["targets"]["numpy"]["detached"] is True
    assert head["deck"] == json.loads(here.read_text().splitlines()[0])["deck"]


def test_large_problems_that_are_drawn_again_have_their_answers(tmp_path: Path) -> None:
    part = ("--op", "softmax", "--dtype", "bfloat16", "--family", "wide")
    calls = select("default", ops=["softmax"], dtypes=["bfloat16"], families=["wide"])
    # sanity check: there are some
    assert any(isinstance(call.source, Recipe) for call in calls)
    folder, answers, record = tmp_path / "away", tmp_path / "answers", tmp_path / "record.jsonl"
    assert lossproof("deck", "export", str(folder), *part).exit_code == 0
    assert evaluate(folder, answers) == 0
    assert lossproof("judge", str(answers), "--record", str(record)).exit_code == 0
    assert {line["verdict"] for line in lines(record) if line["output"] == "value"} == {"pass"}


def test_the_folder_needs_an_interpreter_and_numpy_alone(exported: Path, tmp_path: Path) -> None:
    answers = tmp_path / "answers"
    assert evaluate(exported, answers, *command(python=old_interpreter())) == 0
    assert lossproof("judge", str(answers)).exit_code == 0


def test_variables_are_set_before_anything_is_imported(exported: Path, tmp_path: Path) -> None:
    (setting,) = processor.numpy_features()
    answers, record = tmp_path / "answers", tmp_path / "record.jsonl"
    assert evaluate(exported, answers, *command(f"numpy%{setting}%OMP_NUM_THREADS=2")) == 0
    assert lossproof("judge", str(answers), "--record", str(record)).exit_code == 0
    ((name, described),) = json.loads(record.read_text().splitlines()[0])["targets"].items()
    assert name == f"numpy%{setting}%OMP_NUM_THREADS=2"
    assert described["threads"]["OMP_NUM_THREADS"] == "2"
    assert not {"avx2", "avx512f"} & set(described["facts"]["isa"].split())


def test_the_readme_gives_the_command(exported: Path) -> None:
    text = (exported / "README.txt").read_text()
    assert "PYTHON -I adapters/boot.py adapters ADAPTER < deck > answers" in text
    assert "PYTHON -I adapters/boot.py adapters ADAPTER --after answers < deck >> answers" in text


@pytest.mark.parametrize("share", [0.61803, *(pytest.param(share, marks=nightly) for share in (0.0, 0.3, 0.999))])
def test_answers_that_are_cut_short_are_finished(share: float, exported: Path, answered: Path, tmp_path: Path) -> None:
    data = answered.read_bytes()
    begun = data.index(wire.MAGIC, data.index(wire.MAGIC, 1) + 1)
    answers = tmp_path / "answers"
    answers.write_bytes(data[: begun + int(share * (len(data) - begun))])
    partial = lossproof("judge", str(answers))
    assert partial.exit_code == 1
    assert re.search(r"FAILED: \d+ calls without an answer in ", " ".join(partial.stdout.split()))
    assert evaluate(exported, answers, *command("numpy", "--after", str(answers))) == 0
    again, first = tmp_path / "again.jsonl", tmp_path / "first.jsonl"
    assert lossproof("judge", str(answers), "--record", str(again)).exit_code == 0
    assert lossproof("judge", str(answered), "--record", str(first)).exit_code == 0
    assert lines(again) == lines(first)
    # Nothing is left to do, and nothing is done.
    size = answers.stat().st_size
    assert evaluate(exported, answers, *command("numpy", "--after", str(answers))) == 0
    assert answers.stat().st_size == size


@pytest.mark.parametrize("fault", ["segv", "spin", pytest.param("_exit", marks=nightly)])
def test_a_call_that_ends_two_processes_is_passed_over(fault: str, tmp_path: Path) -> None:
    deck, answers = tmp_path / "deck", tmp_path / "answers"
    folder = tmp_path / "away"
    lossproof("deck", "export", str(folder), "--deck", "smoke", "--op", "softmax", *_PART)
    reader = wire.Reader()
    reader.feed((folder / "deck").read_bytes())
    requests = list(reader.messages())
    # sanity check: a request in the midst of others, and a problem that the adapter recognises
    assert {m["kind"] for m in requests[3:6]} == {"evaluate"}
    assert CULPRIT.problem.x.flat[0] == MAGIC
    requests[4] |= {"problem": CULPRIT.problem, "limit": 0.5}
    deck.write_bytes(b"".join(map(wire.pack, requests)))
    codes = [
        evaluate(folder, answers, *command(FAULTY, "--after", str(answers)), deck=deck, FAULT=fault) for _ in range(3)
    ]
    assert codes[2] == 0
    assert 0 not in codes[:2]
    reader = wire.Reader()
    reader.feed(answers.read_bytes())
    outcomes = {m["id"]: m["outcome"] for m in reader.messages() if m["kind"] == "outcome"}
    assert len(outcomes) == len(requests) - 2
    assert [n for n, o in outcomes.items() if o.error == "crash"] == [requests[4]["id"]]
    judged = lossproof("judge", str(answers))
    assert judged.exit_code == 1
    assert "two processes have ended, or were ended, during this call" in judged.stdout


@pytest.mark.parametrize("loop", [False, True], ids=["by-hand", "as-the-readme-loops"])
def test_a_process_that_leaves_the_rest_to_another_says_so(loop: bool, exported: Path, tmp_path: Path) -> None:
    """Every call answers and ends the context of its device; the deck has two."""
    answers, deck = tmp_path / "answers", tmp_path / "deck"
    reader = wire.Reader()
    reader.feed((exported / "deck").read_bytes())
    requests = list(reader.messages())
    few = [{**requests[0], "requests": 2}, *[m for m in requests if m["kind"] == "evaluate"][:2], requests[-1]]
    deck.write_bytes(b"".join(map(wire.pack, few)))
    going_on = command(FAULTY, "--after", str(answers))
    if loop:
        text = (exported / "README.txt").read_text()
        script = text[text.index("    : > answers") : text.index("does it all")]
        for said, meant in {"PYTHON": sys.executable, "ADAPTER": FAULTY, "< deck": f"< {deck}"}.items():
            script = script.replace(said, meant)
        script = script.replace(" answers", f" {answers}")
        environment = {**os.environ, "FAULT": "always asserted"}
        done = subprocess.run(["sh", "-c", script], cwd=exported, env=environment, capture_output=True, timeout=1800)
        assert done.returncode == 0, done.stderr
    else:
        codes = [evaluate(exported, answers, *going_on, deck=deck, FAULT="always asserted") for _ in range(3)]
        assert codes == [75, 75, 0]
    reader = wire.Reader()
    reader.feed(answers.read_bytes())
    outcomes = [m["outcome"] for m in reader.messages() if m["kind"] == "outcome"]
    assert [(o.error, o.last) for o in outcomes] == [("bad_label", True)] * 2


def test_several_machines_are_judged_together(exported: Path, answered: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert evaluate(exported, other) == 0
    result = lossproof("judge", str(answered), str(other))
    assert result.exit_code == 0, result.output
    assert "OK (numpy@answers, numpy@other: " in result.stdout.splitlines()[-1]


def test_mistakes_are_one_line(exported: Path, answered: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("my notes")
    (tmp_path / "empty").write_bytes(b"")
    reader = wire.Reader()
    reader.feed(answered.read_bytes())
    other = tmp_path / "other-deck"
    with other.open("wb") as file:
        for sent in reader.messages():
            file.write(wire.pack({**sent, "digest": "0"} if sent["kind"] == "deck" else sent))
    ghost = tmp_path / "ghost"
    assert evaluate(exported, ghost, *command("ghost")) == 0
    for arguments, message in (
        (("judge", str(tmp_path / "nosuch")), "cannot read answers "),
        (("judge", str(tmp_path / "notes")), "holds no answers; expected what boot.py wrote"),
        (("judge", str(tmp_path / "empty")), "holds no answers"),
        (("judge", str(exported / "deck")), "holds no answers"),
        (("judge", str(other)), "answers another deck"),
        (("judge", str(ghost)), "the adapter did not import there: ModuleNotFoundError"),
        (("judge",), "Missing argument"),
        (("deck", "export", str(exported)), "exists; expected the name of a new folder"),
        (("deck", "export", "/proc/nosuch"), "cannot write /proc/nosuch"),
    ):
        result = lossproof(*arguments)
        assert result.exit_code == 2, result.output
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1
