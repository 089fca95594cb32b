"""What is written of a run may be lost, the verdict is not: full disks, read-only folders, readers that go away, pages
that cannot be made."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lossproof.records import record
from lossproof.running.session import Ended
from lossproof.views.html import html_view, programs
from lossproof.views.junit import JunitView
from tests.support import wrong_adapters as wrong
from tests.support.thinned import WHOLE, nightly
from tests.support.views import lossproof

RIGHT, WRONG = f"{wrong.__file__}:RIGHT", f"{wrong.__file__}:ROUNDING_LABELS_DOWN"
IN_WORKERS = ("--deck", "smoke", "--op", "nll_loss", "--dtype", "float32")
# Where the target answers makes no difference to what is written.
PART = (*IN_WORKERS, "--in-process")
# What is right is written alike of few calls.
FEW = ("--family", "ordinary")
# The wrong one is wrong about labels that are out of range alone.
MISTAKEN = ("--family", "error")
FULL = Path("/dev/full")
# To load what is compiled takes longer than to judge a few calls by arrays.
BY_ARRAYS = os.environ | {"LOSSPROOF_COMPILED": "0"}

on_linux = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")


@pytest.mark.parametrize("seed", ["0", pytest.param("3", marks=nightly)])
def test_labels_that_are_taken_for_others_get_their_page(seed: str, tmp_path: Path) -> None:
    """Cases of invalid input are none of a single valid call: their programs are those of the deck."""
    kept, page, junit = tmp_path / "r.jsonl", tmp_path / "r.html", tmp_path / "r.xml"
    views = ("--record", str(kept), "--html", str(page), "--junit", str(junit))
    result = lossproof("run", WRONG, *PART, "--seed", seed, *views)
    assert result.exit_code == 1
    assert "is lost" not in result.output
    assert lossproof("report", str(kept), "-o", str(tmp_path / "again.html")).exit_code == 0
    assert "nll_loss" in junit.read_text()
    shown: set[str] = set()
    for path in (page, tmp_path / "again.html"):
        text = path.read_text("utf-8")
        commands = set(re.findall(r"lossproof repro (nll_loss/\S+/error/\S+ --target [^<&]*)", text))
        assert commands
        # What the page says can be done, and the program shows the defect.
        assert "right = " in text
        for line in set(sorted(commands)[: 2 if WHOLE else 1]) - shown:
            again = lossproof("repro", *shlex.split(line))
            assert again.exit_code == 0
            assert "does not show" not in again.output
            shown.add(line)
    bad = next(o for o in record.read_record(kept) if "/error/" in o.id and o.verdict == "fail")
    for command in ("explain", "repro"):
        result = lossproof(command, bad.id, "--record", str(kept), "--target", WRONG)
        assert result.exit_code == 0
        assert "label 4 of 4 classes" in result.output or command == "repro"


def broken(*_: Any, **__: Any) -> Any:
    raise IndexError("index 4 is out of bounds")


@pytest.mark.parametrize(("target", "code"), [(RIGHT, 0), (WRONG, 1)])
def test_a_view_that_fails_costs_itself(
    target: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(html_view, "page", broken)
    page, junit = tmp_path / "r.html", tmp_path / "r.xml"
    result = lossproof("run", target, *PART, "--html", str(page), "--junit", str(junit))
    assert result.exit_code == code
    assert result.output.count(f"lossproof: the page {page} is lost: IndexError: index 4 is out of bounds\n") == 1
    assert not page.exists()
    assert junit.exists()
    assert ("OK (" if code == 0 else "FAILED: ") in result.output


def test_a_view_that_fails_at_once_is_told_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(JunitView, "add", broken)
    result = lossproof("run", RIGHT, *PART, *FEW, "--junit", str(tmp_path / "r.xml"))
    assert result.exit_code == 0
    assert result.output.count("is lost") == 1


def test_a_program_that_fails_costs_no_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(programs, "reproduce", broken)
    page = tmp_path / "r.html"
    result = lossproof("run", WRONG, *PART, "--html", str(page))
    assert result.exit_code == 1
    assert "is lost" not in result.output
    assert "it cannot be written: IndexError: index 4 is out of bounds" in page.read_text("utf-8")


@on_linux
@pytest.mark.parametrize("option", ["--record", "--html", "--junit"])
def test_a_full_disk_costs_the_file(option: str) -> None:
    both = ((RIGHT, 0, FEW), (WRONG, 1, MISTAKEN))
    # One that is right has an exit code of its own, whatever file is lost.
    for target, code, part in both if WHOLE or option == "--record" else both[1:]:
        result = lossproof("run", target, *PART, *(() if WHOLE else part), option, str(FULL))
        assert result.exit_code == code
        lines = [line for line in result.output.splitlines() if "is lost" in line]
        assert len(lines) == 1
        assert lines[0].endswith("No space left on device")


# The next test has the one that is right.
@on_linux
@pytest.mark.parametrize("options", [(), *(pytest.param(x, marks=nightly) for x in (("--json",), ("--quiet",)))])
@pytest.mark.parametrize(("target", "code"), [pytest.param(RIGHT, 0, marks=nightly), (WRONG, 1)])
def test_where_nothing_can_be_printed_the_exit_code_stands(target: str, code: int, options: tuple[str, ...]) -> None:
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "lossproof", "run", target, *PART, *options],
            stdout=full,
            stderr=subprocess.PIPE,
            env=BY_ARRAYS,
            text=True,
            check=False,
            timeout=1800,
        )
    assert done.returncode == code, done.stderr
    assert done.stderr.count("is lost: No space left on device") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("target", "calls", "code"), [(RIGHT, FEW, 0), pytest.param(WRONG, MISTAKEN, 1, marks=nightly)]
)
def test_a_reader_who_goes_away_changes_no_exit_code(target: str, calls: Sequence[str], code: int) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "lossproof", "run", target, *IN_WORKERS, *calls],
        env=BY_ARRAYS,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=1800,
    )
    os.close(writing)
    assert done.returncode == code, done.stderr
    assert "lost" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_read_only_folder_costs_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(record, "open_text", refused)
    path = tmp_path / "r.jsonl"
    result = lossproof("run", RIGHT, *PART, *FEW, "--record", str(path))
    assert result.exit_code == 0
    assert f"lossproof: the record {path} is lost: Permission denied\n" in result.output


def test_a_record_is_not_overwritten_by_accident(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    run = ("run", RIGHT, *PART, *FEW, "--record", str(path))
    path.touch()
    assert lossproof(*run).exit_code == 0, "there was nothing in it"
    first = path.read_bytes()
    result = lossproof(*run)
    assert result.exit_code == 2
    assert "exists; finish it with --resume, replace it with --overwrite, or name another file" in result.output
    assert path.read_bytes() == first
    assert lossproof(*run, "--overwrite", "--seed", "1").exit_code == 0
    second = path.read_bytes()
    assert second != first
    assert lossproof(*run, "--overwrite", "--resume").exit_code == 2
    assert lossproof("upgrade", RIGHT, RIGHT, *IN_WORKERS, "--keep", str(tmp_path)).exit_code == 2
    assert path.read_bytes() == second


@pytest.mark.parametrize("command", ["merge", "upgrade"])
def test_other_commands_overwrite_no_record_either(command: str, tmp_path: Path) -> None:
    shards, other = [str(tmp_path / f"{i}.jsonl") for i in (1, 2)], tmp_path / "before.jsonl"
    for i, shard in enumerate(shards, 1):
        assert lossproof("run", RIGHT, *PART, *FEW, "--shard", f"{i}/2", "--record", shard).exit_code == 0
    other.write_text("something\n")
    words = {
        "merge": ("merge", *shards, "-o", str(other)),
        "upgrade": ("upgrade", RIGHT, WRONG, *IN_WORKERS, *FEW, "--keep", str(tmp_path)),
    }[command]
    result = lossproof(*words)
    assert result.exit_code == 2
    assert f"{other} exists; replace it with --overwrite" in result.output
    assert other.read_text() == "something\n"
    assert lossproof(*words, "--overwrite").exit_code in (0, 1)
    assert record.read_record(other).end() is not None


def test_the_end_of_a_record_that_was_lost_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could be written is a record that was cut short, and can be finished."""
    path = tmp_path / "r.jsonl"
    real, seen = record.Writer.write, []

    def full_after_ten(self: record.Writer, o: Any) -> None:
        seen.append(o)
        if len(seen) > 10:
            raise OSError(28, "No space left on device")
        real(self, o)

    with monkeypatch.context() as patched:
        patched.setattr(record.Writer, "write", full_after_ten)
        assert lossproof("run", RIGHT, *PART, "--record", str(path)).exit_code == 0
    # sanity check: the sink was let go of
    assert len(seen) == 11
    assert record.read_record(path).end() is None
    assert lossproof("run", RIGHT, *PART, "--record", str(path), "--resume").exit_code == 0
    assert record.read_record(path).end() is not None


def test_a_view_is_no_part_of_the_session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An interrupt is the user's, whoever is at work then."""

    def interrupted(self: JunitView, run: Ended) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(JunitView, "close", interrupted)
    assert lossproof("run", RIGHT, *PART, *FEW, "--junit", str(tmp_path / "r.xml")).exit_code == 130


def test_half_a_surrogate_pair_in_a_message_loses_nothing(tmp_path: Path) -> None:
    """Python has names of files that are no UTF-8 in this way, and exceptions quote them."""
    function = tmp_path / "lost.py"
    function.write_text('def softmax(x, *, axis):\n    raise OSError("no \\udcff \\ud800 here")\n')
    kept, page, junit, summary = (tmp_path / name for name in ("r.jsonl", "r.html", "r.xml", "s.md"))
    views = ("--record", str(kept), "--html", str(page), "--junit", str(junit))
    command = [
        sys.executable,
        "-m",
        "lossproof",
        "check",
        f"{function}:softmax",
        "--deck",
        "smoke",
        "--dtype",
        "float32",
        *views,
    ]
    env = BY_ARRAYS | {"GITHUB_STEP_SUMMARY": str(summary), "PYTHONIOENCODING": "utf-8:surrogateescape"}
    done = subprocess.run(command, env=env, capture_output=True, check=False)
    assert done.returncode == 1, done.stderr
    assert b"is lost" not in done.stderr
    assert b"OSError: no \xff \\ud800 here" in done.stdout
    assert r"OSError: no \udcff \ud800 here" in page.read_text("utf-8")
    assert r"OSError: no \udcff \ud800 here" in summary.read_text("utf-8")
    assert "OSError: no ? ? here" in junit.read_text("utf-8")
    found = next(o.message for o in record.read_record(kept) if o.message)
    assert r"OSError: no \udcff \ud800 here" in found
    for name, into in (("show", ()), ("report", ("-o", str(tmp_path / "a.html"))), ("condense", ("-o", str(tmp_path)))):
        assert lossproof(name, str(kept), *into).exit_code == 0
