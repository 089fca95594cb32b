"""Files that are damaged, foreign or hostile are read, or refused in one line: a short run of the nightly one."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from lossproof.adapters import wire
from lossproof.core.errors import UsageError
from tests.fuzz import mutations
from tests.fuzz.__main__ import fuzz
from tests.fuzz.mutations import Change, mutated
from tests.fuzz.readers import PAIR, BrokenReaderError, Reader, function, readers
from tests.support.thinned import at_least
from tests.support.views import lossproof

# Of a reader that is a function; one that is a command gets one.
INPUTS = at_least(10, to=2)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> list[Reader]:
    return readers(tmp_path_factory.mktemp("valid"))


def test_every_reader_reads_or_refuses(several: list[Reader], tmp_path: Path) -> None:
    assert len({r.name for r in several}) == len(several) > 20
    for n, reader in enumerate(several):
        counts, broken = fuzz(reader, tmp_path / str(n), INPUTS if reader.often > 1 else 1, 0)
        assert broken == {}, reader.name
        assert counts["read"] + counts["refused"] == (INPUTS if reader.often > 1 else 1)


def test_a_reader_that_breaks_is_found(tmp_path: Path) -> None:
    def read(path: Path) -> str:
        try:
            return str({"read": "read"}[json.loads(path.read_bytes())["kind"]])
        except (ValueError, TypeError, RecursionError):
            return "refused"

    reader = Reader("careless", b'{"kind": "read"}', read, changes=(mutations.of_json,))
    counts, broken = fuzz(reader, tmp_path, 300, 0)
    assert counts["read"]
    assert counts["refused"]
    assert counts["broken"]
    assert list(broken) == ["KeyError at read"]
    file, text = broken["KeyError at read"]
    assert "KeyError" in text
    assert json.loads(file).get("kind") != "read"


@pytest.mark.parametrize("said", ["", " \n", "\x1b[2J"])
def test_what_is_no_line_is_found(said: str, tmp_path: Path) -> None:
    class RawError(UsageError):
        def __str__(self) -> str:
            return said

    def read(path: Path) -> None:
        if path.read_bytes() != b"x":
            raise RawError

    _, broken = fuzz(Reader("silent", b"x", function(read)), tmp_path, 50, 0)
    assert list(broken) == ["BrokenReaderError at read"]
    assert BrokenReaderError.__name__ in broken["BrokenReaderError at read"][1]


def test_a_reader_that_is_slow_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tests.fuzz.__main__.LONGEST", 0.0)
    _, broken = fuzz(Reader("slow", b"x", function(lambda path: sum(path.read_bytes() * 10_000))), tmp_path, 2, 0)
    assert list(broken) == ["BrokenReaderError at fuzz"]


def seen(change: Change, data: bytes, times: int = 400) -> set[bytes]:
    """What a mutation makes of a file."""
    return {change(data, Random(n)) for n in range(times)}


def test_mutations_of_json_keep_it_well_formed_and_reach_every_field() -> None:
    trees = [json.loads(data) for data in seen(mutations.of_json, b'{"a": {"b": [1, "0x1p+3"]}, "c": 4}')]
    assert {"a": {"b": [1, "0x1p+3"]}} in trees
    assert {"a": {"b": [1, "0x1p+3"]}, "c": [4]} in trees
    assert any(isinstance(t["a"].get("b"), str) for t in trees if isinstance(t, dict) and isinstance(t.get("a"), dict))
    texts = {t["a"]["b"][1] for t in trees if "b" in str(t) and _is_changed_number(t)}
    assert len(texts) > 3, "digits of a hexadecimal number"


def _is_changed_number(tree: object) -> bool:
    match tree:
        case {"a": {"b": [1, str(text)]}, "c": 4}:
            return text != "0x1p+3"
    return False


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        (mutations.of_json_lines, lambda rows: rows[0] == b'{"a": 1}' and rows[1] != b'{"b": [2]}'),
        (mutations.of_json_lines, lambda rows: rows[0] != b'{"a": 1}' and rows[1] == b'{"b": [2]}'),
        (mutations.of_lines, lambda rows: rows == [b'{"b": [2]}', b'{"a": 1}', b""]),
        (mutations.of_lines, lambda rows: rows == [b'{"a": 1}\r', b'{"b": [2]}\r', b""]),
        (mutations.of_bytes, lambda rows: rows == [b'{"a": 1}', b'{"b": ']),
        (mutations.of_words, lambda rows: rows == [b'{"a": 2}', b'{"b": [2]}', b""]),
    ],
)
def test_mutations_change_what_they_say(change: Change, holds: Callable[[list[bytes]], bool]) -> None:
    assert any(holds(data.split(b"\n")) for data in seen(change, b'{"a": 1}\n{"b": [2]}\n', 2000))


def test_mutations_of_frames_are_read_as_frames() -> None:
    def messages(data: bytes) -> object:
        reader = wire.Reader()
        reader.feed(data)
        try:
            return [message.get("n", "gone") for message in reader.messages()]
        except wire.WireError:
            return "refused"

    made = seen(mutations.of_frames, wire.pack({"kind": "x", "n": 1}) + wire.pack({"kind": "y", "n": 2}))
    found = [messages(data) for data in made]
    assert [2, 1] in found
    assert [1, "gone"] in found
    assert any(isinstance(n, list) and len(n) == 2 and n[0] == 1 and n[1] not in (2, "gone") for n in found)


def test_an_input_is_made_again_from_its_number() -> None:
    changes = (mutations.of_json_lines,)
    made = [mutated(b'{"a": 1}\n', changes, Random(n)) for n in range(50)]
    assert made == [mutated(b'{"a": 1}\n', changes, Random(n)) for n in range(50)]
    assert len(set(made)) > 25


@pytest.mark.parametrize("nested", [b"[" * 100_000, b'{"a":' * 100_000])
@pytest.mark.parametrize("name", ["record", "call", "condensed record", "waivers", "golden values", "environment"])
def test_what_no_parser_follows_is_refused(several: list[Reader], name: str, nested: bytes, tmp_path: Path) -> None:
    reader = next(r for r in several if r.name == name)
    before = reader.valid if name in ("record", "waivers") else b""
    path = tmp_path / f"nested{reader.suffix}"
    for ending in (b"", b"\n"):
        path.write_bytes(before + (b"x = " if name == "waivers" else b"") + nested + ending)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # A record may be cut short anywhere: its last line counts once it is whole.
            assert reader.read(path) == ("read" if name == "record" and not ending else "refused")


@pytest.mark.parametrize("name", ["record", "show as JSON", "diff before", "condensed record", "board"])
def test_half_a_surrogate_pair_is_refused(several: list[Reader], name: str, tmp_path: Path) -> None:
    reader = next(r for r in several if r.name == name)
    (tmp_path / f"valid{reader.suffix}").write_bytes(reader.beside or reader.valid)
    path = tmp_path / f"half{reader.suffix}"
    halves = (rb"\ud800", rb"\uDCFF", rb"\udc00\ud800", b"\xed\xa0\x80")
    for text in (rb"\ud83d\ude00", "\U0001f600".encode(), *halves):
        path.write_bytes(reader.valid.replace(b"{", b'{"more":"%s",' % text, 1))
        assert reader.read(path) == ("refused" if text in halves else "read")


@pytest.mark.parametrize("id", [{}, {"id": 0.5}, {"id": ["x"]}])
@pytest.mark.parametrize("name", ["record to go on with", "sweep to go on with"])
def test_an_end_that_names_a_target_is_no_observation(
    several: list[Reader], name: str, id: dict[str, Any], tmp_path: Path
) -> None:
    reader = next(r for r in several if r.name == name)
    header, first, *rest = reader.valid.split(b"\n")
    ends = json.loads(first)
    del ends["id"]
    ends |= {"end": {}, **id}
    path = tmp_path / "ends.jsonl"
    path.write_bytes(b"\n".join([header, json.dumps(ends).encode(), *rest]))
    assert reader.read(path) == "read"


def test_a_shard_without_a_finite_number_is_refused(several: list[Reader], tmp_path: Path) -> None:
    merge = next(r for r in several if r.name == "merge")
    first, newline, rest = merge.valid.partition(b"\n")
    header = json.loads(first)
    header["shard"] = {"index": float("inf"), "of": 2}
    (tmp_path / "valid.jsonl").write_bytes(merge.beside or b"")
    (tmp_path / "mutated.jsonl").write_bytes(json.dumps(header).encode() + newline + rest)
    assert merge.read(tmp_path / "mutated.jsonl") == "refused"


@pytest.mark.parametrize("name", ["profile", "met"])
def test_a_profile_that_is_none_is_refused_by_a_comparison(several: list[Reader], name: str, tmp_path: Path) -> None:
    reader = next(r for r in several if r.name == "diff after")
    assert reader.beside is not None
    for beside, options in ((reader.beside, PAIR), (reader.valid, ())):
        paths = [tmp_path / f"{side}{reader.suffix}" for side in ("valid", "mutated")]
        for path, data in zip(paths, (beside, reader.valid), strict=True):
            path.write_bytes(data.replace(b'"%s":"W"' % name.encode(), b'"%s":"Z"' % name.encode()))
        result = lossproof("diff", *map(str, paths), *options)
        assert (result.exit_code, "unknown error profile 'Z'" in result.stderr) == (2, True), result.output


def test_a_failure_of_a_target_that_the_header_lacks_is_one_line(several: list[Reader], tmp_path: Path) -> None:
    waive = next(r for r in several if r.name == "waive")
    foreign = waive.valid.replace(b'"target":"', b'"target":"other ')
    assert foreign != waive.valid
    (tmp_path / "foreign.jsonl").write_bytes(foreign)
    assert waive.read(tmp_path / "foreign.jsonl") == "refused"
