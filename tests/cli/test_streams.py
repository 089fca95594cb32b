"""What commands do around their work: records that would be lost, and standard error of native code."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from lossproof.cli.native_stderr import native_stderr_aside
from lossproof.cli.outputs import new_record
from lossproof.core.errors import UsageError


def test_a_record_with_something_in_it_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    new_record(None, overwrite=False)
    new_record(path, overwrite=False)
    path.touch()
    new_record(path, overwrite=False)
    path.write_text("{}")
    with pytest.raises(UsageError, match=r"r.jsonl exists; go on, replace it with --overwrite"):
        new_record(str(path), overwrite=False, hint="go on, ")
    new_record(path, overwrite=True)
    assert path.read_text() == "{}"
    new_record(tmp_path, overwrite=False)


def said(capfd: pytest.CaptureFixture[str]) -> str:
    return capfd.readouterr().err


def test_native_code_is_quiet_unless_the_block_raises(capfd: pytest.CaptureFixture[str]) -> None:
    with native_stderr_aside():
        os.write(2, b"a greeting\n")
    assert said(capfd) == ""
    os.write(2, b"later\n")
    assert said(capfd) == "later\n"

    def fails() -> None:
        with native_stderr_aside():
            os.write(2, b"what was wrong\n")
            raise ValueError("no library")

    with pytest.raises(ValueError, match="no library"):
        fails()
    assert said(capfd) == "what was wrong\n"


def test_python_code_is_heard(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with os.fdopen(os.dup(2), "w", buffering=1) as own:
        monkeypatch.setattr(sys, "stderr", own)
        with native_stderr_aside():
            print("a warning", file=sys.stderr)
            assert sys.stderr is own, "it is no standard error of the process"
        assert said(capfd) == "a warning\n"
    with open(2, "w", buffering=1, closefd=False) as native:
        monkeypatch.setattr(sys, "stderr", native)
        with native_stderr_aside():
            os.write(2, b"a greeting\n")
            print("a warning", file=sys.stderr)
            assert sys.stderr is not native
        assert sys.stderr is native
        assert said(capfd) == "a warning\n"


def test_descriptors_are_given_back() -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0

    with native_stderr_aside():
        pass
    before = count()
    for _ in range(5):
        with native_stderr_aside():
            pass
    assert count() <= before + 1


def test_without_a_standard_error_there_is_nothing_to_keep_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    done = []
    with native_stderr_aside():
        done.append(1)
    assert done == [1]
