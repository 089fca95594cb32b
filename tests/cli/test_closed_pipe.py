"""Output without a reader, without room, and without colours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lossproof.core.observation import Observation
from lossproof.records.record import Writer
from lossproof.views.terminal import console
from tests.support.thinned import nightly
from tests.support.views import python

TARGET = {"adapter": "numpy", "device": "cpu", "mode": "eager", "versions": {"numpy": "2.4.0"}}
FULL = Path("/dev/full")
LONG = f"{Path('/some/where')}/{'a-name-that-is-long-' * 14}.jsonl"


def without_reader(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command whose standard output has been closed at its other end."""
    read, write = os.pipe()
    os.close(read)
    try:
        command = [sys.executable, *arguments]
        return subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(write)


def record_of(path: Path, verdict: str) -> str:
    header = {"deck": {"size": "smoke", "seed": 0}, "targets": {"numpy": TARGET}}
    with Writer(path, header) as writer:
        for i in range(40):
            writer.write(
                Observation(f"softmax/float32/hot/n2-k4/{i:08x}", "value", "numpy", verdict, bits=f"{verdict}{i}")
            )
        writer.end({"observations": 40})
    return str(path)


def test_a_listing_without_a_reader_is_no_finding(tmp_path: Path) -> None:
    done = without_reader("-m", "lossproof", "show", record_of(tmp_path / "r.jsonl", "pass"))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("after", "code"), [pytest.param("pass", 0, marks=nightly), ("fail", 1)])
def test_a_verdict_stands_without_a_reader(tmp_path: Path, after: str, code: int) -> None:
    before, later = record_of(tmp_path / "a.jsonl", "pass"), record_of(tmp_path / "b.jsonl", after)
    done = without_reader("-m", "lossproof", "diff", before, later)
    assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.skipif(not FULL.exists(), reason="there is no device that is always full")
def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    path = record_of(tmp_path / "r.jsonl", "pass")
    with FULL.open("w") as full:
        command = [sys.executable, "-m", "lossproof", "show", path]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("lossproof: error: what is printed cannot be written: ")
    assert len(done.stderr.splitlines()) == 1


def test_no_color_leaves_no_style(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    console().print("[bold red]bad[/]")
    assert "\x1b[" in capsys.readouterr().out, "sanity check: there are styles to leave out"
    monkeypatch.setenv("NO_COLOR", "1")
    console().print("[bold red]bad[/]")
    assert capsys.readouterr().out == "bad\n"


@pytest.mark.parametrize(("errors", "shown"), [("strict", b"\\udcff \\ud800"), ("surrogateescape", b"\xff \\ud800")])
def test_half_a_surrogate_pair_is_printed_escaped(errors: str, shown: bytes) -> None:
    """In the locale C, Python reads a byte that is no UTF-8 as half a pair, and writes that as the byte again."""
    program = (
        "import sys; from lossproof.cli.closed_pipe import without_reader; "
        "print('\\udcff \\ud800', file=without_reader(sys.stdout), flush=True)"
    )
    env = os.environ | {"PYTHONIOENCODING": f"utf-8:{errors}"}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, shown, b"")


def test_what_the_encoding_lacks_is_printed_escaped(tmp_path: Path) -> None:
    """Names of files and messages of exceptions may have any letter; the encoding of a terminal may lack it."""
    path = tmp_path / "größe ∞.jsonl"
    record_of(path, "pass")
    run_environment = os.environ | {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "lossproof"]
    shown = subprocess.run([*command, "show", str(path)], env=run_environment, capture_output=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert "größe \\u221e.jsonl".encode("cp1252") in shown.stdout
    missing = [*command, "show", str(tmp_path / "∞.jsonl")]
    refused = subprocess.run(missing, env=run_environment, capture_output=True, check=False)
    assert refused.returncode == 2
    assert refused.stderr.count(b"\n") == 1
    assert b"\\u221e.jsonl" in refused.stderr


def test_no_line_is_broken_where_nobody_watches(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    console().print(f"a record {LONG}")
    assert capsys.readouterr().out == f"a record {LONG}\n"


def test_a_record_of_a_long_name_is_named_whole(tmp_path: Path) -> None:
    folder = tmp_path / ("long-" * 20) / ("longer-" * 20)
    folder.mkdir(parents=True)
    path = record_of(folder / "r.jsonl", "pass")
    assert path in python("-m", "lossproof", "show", path).stdout.splitlines()[0]
