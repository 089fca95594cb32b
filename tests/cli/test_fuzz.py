"""Files that are damaged, foreign or hostile are read, or refused in one line: a short run of the nightly one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lossproof.core.errors import UsageError
from tests.support.fuzz import BrokenReaderError, Reader, fuzz, mutated, readers

INPUTS = 4


def test_every_reader_reads_or_refuses(tmp_path: Path) -> None:
    several = readers(tmp_path)
    assert len({r.name for r in several}) == len(several) > 10
    for n, reader in enumerate(several):
        counts = fuzz(reader, tmp_path / str(n), INPUTS, 0)
        assert sum(counts.values()) >= INPUTS


def test_a_reader_that_breaks_is_found(tmp_path: Path) -> None:
    def read(path: Path) -> str:
        try:
            return str({"read": "read"}[json.loads(path.read_bytes())["kind"]])
        except (ValueError, TypeError) as error:
            raise UsageError("no JSON") from error

    reader = Reader("careless", b'{"kind": "read"}', lambda path: refused(read, path))
    with pytest.raises(KeyError):
        fuzz(reader, tmp_path, 300, 0)


def refused(read: object, path: Path) -> str:
    try:
        return read(path)  # type: ignore[operator]
    except UsageError:
        return "refused"


def test_silence_is_no_line(tmp_path: Path) -> None:
    def read(path: Path) -> str:
        if path.read_bytes() != b"x\ny":
            raise BrokenReaderError("no line")
        return "read"

    with pytest.raises(BrokenReaderError):
        fuzz(Reader("silent", b"x\ny", read), tmp_path, 50, 0)


def test_mutations_change_what_they_say() -> None:
    reader = Reader("r", b'{"a": 1, "b": [2, 3]}\n{"c": 4}\n', lambda path: "read", lines=True)
    assert mutated(reader, [("drop", 0.0, 0.0, None)]) == b'{"b": [2, 3]}\n{"c": 4}\n'
    assert mutated(reader, [("node", 0.0, 0.0, "x")]) == b'{"a": "x", "b": [2, 3]}\n{"c": 4}\n'
    assert mutated(reader, [("crlf", 0.0, 0.0, None)]) == reader.valid.replace(b"\n", b"\r\n")
    assert mutated(reader, [("bom", 0.0, 0.0, None)]).startswith(b"\xef\xbb\xbf{")
    assert mutated(reader, [("cut", 0.5, 0.0, None)]) == reader.valid[: len(reader.valid) // 2]
    assert mutated(reader, [("line", 0.0, 0.0, None)]) == b'{"c": 4}\n'


def test_a_failure_of_a_target_that_the_header_lacks_is_one_line(tmp_path: Path) -> None:
    waive = next(r for r in readers(tmp_path) if r.name == "waive")
    foreign = waive.valid.replace(b'"target":"', b'"target":"other ')
    assert foreign != waive.valid
    (tmp_path / "foreign.jsonl").write_bytes(foreign)
    assert waive.read(tmp_path / "foreign.jsonl") == "refused"
