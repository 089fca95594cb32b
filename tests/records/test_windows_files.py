"""Files as editors on Windows save them, with a byte order mark and CRLF, are read as the same without."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lossproof.adapters.protocol import Problem
from lossproof.cases import kept_calls
from lossproof.core.call import Call
from lossproof.functions.found_function import found_function
from lossproof.records.record import read_record
from lossproof.records.waivers import load_waivers
from lossproof.repro.find import CasePlace, find_call
from lossproof.running.resume import begun, complete_lines
from lossproof.targets.environments.requirement_files import read_requirements
from lossproof.views.board.condensed import read_condensed
from tests.support.board_records import header, observations, write
from tests.support.pages import ROOT
from tests.support.views import lossproof

WAIVERS = (ROOT / "golden" / "waivers" / "jax.toml").read_text("utf-8")
REQUIREMENTS = "numpy==1.26.4 \\\n    --hash=sha256:0\n# a remark\nml_dtypes\n"
CALL = json.dumps(Call(Problem("softmax", "float32", np.array([[0.5, 1.0, -2.0]])), "hand").to_json(), indent=1) + "\n"
KERNEL = '"""A kernel."""\n\n\ndef softmax(x):\n    return x\n'

READERS: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "waivers": ("w.toml", WAIVERS, load_waivers),
    "a call": ("c.json", CALL, lambda path: kept_calls.read_call(path).id),
    "requirements": ("r.txt", REQUIREMENTS, read_requirements),
    "a kernel": ("kernel_of_a_file.py", KERNEL, lambda path: found_function(f"{path}:softmax").__name__),
}


def on_windows(text: str) -> bytes:
    return b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()


@pytest.mark.parametrize("name", READERS)
def test_files_that_people_write(name: str, tmp_path: Path) -> None:
    file, text, read = READERS[name]
    path = tmp_path / file
    path.write_text(text, "utf-8")
    as_here = read(path)
    # sanity check: something is read
    assert as_here
    path.write_bytes(on_windows(text))
    assert read(path) == as_here


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_records(suffix: str, tmp_path: Path) -> None:
    plain = write(tmp_path / "plain.jsonl", header("torch"), observations("torch"))
    path = tmp_path / f"windows{suffix}"
    content = on_windows(plain.read_text("utf-8"))
    path.write_bytes(gzip.compress(content) if suffix.endswith(".gz") else content)
    here, there = read_record(plain), read_record(path)
    assert there.header == here.header
    assert list(there) == list(here) != []
    if suffix == ".jsonl":
        assert begun(path)
        assert [line for _, line in complete_lines(path)] == [line for _, line in complete_lines(plain)]


def test_condensed_records(tmp_path: Path) -> None:
    record = write(tmp_path / "r.jsonl", header("torch"), observations("torch"))
    result = lossproof("condense", str(record), "-o", str(tmp_path / "out"), "--date", "2026-11-27")
    assert result.exit_code == 0, result.output
    (path,) = (tmp_path / "out").iterdir()
    found = read_condensed(path)
    path.write_bytes(on_windows(path.read_text("utf-8")))
    assert read_condensed(path) == found


def test_a_call_of_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\ufeff" + CALL.replace("\n", "\r\n")))
    assert find_call(None, CasePlace(call_file="-")).problem.op == "softmax"


def test_another_encoding_is_one_line(tmp_path: Path) -> None:
    """As PowerShell 5 redirects output: UTF-16."""
    path = tmp_path / "r.jsonl"
    path.write_bytes('{"lossproof": "record"}\r\n'.encode("utf-16"))
    result = lossproof("show", str(path))
    assert result.exit_code == 2
    assert result.stderr.startswith("lossproof: error: cannot read record ")
    assert len(result.stderr.splitlines()) == 1
