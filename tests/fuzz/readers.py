"""Everything that reads a file, each with a valid file that lossproof has written.

What a person names is read with a command, as a person would; what is underneath is read by itself, too, which takes a
tenth of the time and gets ten times as many files.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from click.testing import CliRunner

from lossproof.adapters.play import SUFFIX
from lossproof.adapters.protocol import Problem
from lossproof.cases import kept_calls
from lossproof.cases.shard import Shard
from lossproof.cases.sweeps.chunks import Chunk, Part
from lossproof.cli.main import cli
from lossproof.core.call import Call
from lossproof.core.case_id import Kind
from lossproof.core.errors import UsageError
from lossproof.records.judgement_store import JudgementStore
from lossproof.records.last_failed import LastFailed
from lossproof.records.record import read_record
from lossproof.records.recorded_targets import recorded_targets
from lossproof.records.waivers import load_waivers
from lossproof.running.detached import AnswerFile
from lossproof.running.resume import Resumed
from lossproof.running.sweeping.swept_before import SweptBefore
from lossproof.targets import selection
from lossproof.targets.environments import store
from lossproof.targets.environments.requirement_files import read_requirements
from lossproof.truth.worked_example import check_published, stored
from lossproof.views.board.condensed import read_condensed
from tests.fuzz import mutations
from tests.fuzz.mutations import Change

ROOT = Path(__file__).resolve().parents[2]
Reading = Callable[[Path], str]
# Files for a function that is called, for one file for a command.
_OFTEN = 10


class BrokenReaderError(AssertionError):
    """A reader did not end in success or in one line."""


@dataclass(frozen=True)
class Reader:
    """A reader of files: a valid file, the mutations that know what it is, and what reads one, which returns whether it
    was ``read`` or ``refused``.

    ``beside`` it lies another valid file, by default the same. ``often`` is how many files it gets for one of others.
    """

    name: str
    valid: bytes
    read: Reading
    suffix: str = ""
    changes: tuple[Change, ...] = (mutations.of_bytes,)
    beside: bytes | None = None
    often: int = 1


_ONE_PATTERN = ROOT / "tests" / "support" / "one_pattern.py"
_LINES, _JSON, _FRAMES = (mutations.of_json_lines,), (mutations.of_json,), (mutations.of_frames,)


def command(*arguments: str) -> Reading:
    """Read a file with a command; ``FILE`` among its arguments is its name, ``VALID`` that of the valid file."""

    def read(path: Path) -> str:
        valid = path.with_name(f"valid{path.suffix}")
        names = {"FILE": str(path), "VALID": str(valid), "NEW": str(path.with_name("new"))}
        _remove(path.with_name("new"))
        result = CliRunner().invoke(cli, [names.get(a, a) for a in arguments], prog_name="lossproof")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        errors = [line for line in result.stderr.splitlines() if line.startswith("lossproof: error: ")]
        if result.exit_code == 2 and len(errors) != 1:
            raise BrokenReaderError(f"expected one line, found {result.stderr!r}")
        return "refused" if result.exit_code == 2 else "read"

    return read


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def function(called: Callable[[Path], object]) -> Reading:
    """Read a file with a function, which may raise a mistake of the user's, in one line."""

    def read(path: Path) -> str:
        try:
            called(path)
        except UsageError as error:
            if not str(error).strip() or not str(error).isprintable():
                raise BrokenReaderError(f"no line: {str(error)!r}") from error
            return "refused"
        return "read"

    return read


def _answers(path: Path) -> None:
    with contextlib.closing(AnswerFile(path)) as file:
        assert file.name
        assert file.missing < 10**400
        assert file.evidence()
        assert file.capabilities()


def _record(path: Path) -> None:
    record = read_record(path)
    recorded_targets(record)
    for o in record:
        assert o.id
    record.end()


@dataclass(frozen=True)
class _Unit:
    name: str
    ids: frozenset[str]


def _resumed(header: Mapping[str, Any], units: Sequence[_Unit]) -> Callable[[Path], object]:
    return lambda path: Resumed(path, header, units)


def _last_failed(path: Path) -> None:
    place = LastFailed(path.parent, "here", "smoke 0")
    file = place.path
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(path.read_bytes())
    place.patterns()
    place.keep(["a/b"])


_KEYS = [bytes([n]) * 16 for n in range(40)]


def _store(path: Path) -> None:
    for more in ("-wal", "-shm"):
        path.with_name(path.name + more).unlink(missing_ok=True)
    kept = JudgementStore(path)
    for text in kept.get(_KEYS).values():
        assert text.startswith("verdict")
    kept.put(b"new key of sixteen", "text")
    kept.usage()
    kept.close()


def _environment(path: Path) -> None:
    home = path.parent / "home"
    folder = home / "environments" / "old"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lossproof.json").write_bytes(path.read_bytes())
    with mock.patch.dict("os.environ", {"LOSSPROOF_HOME": str(home)}):
        for found in store.environments():
            assert str(found)


def readers(folder: Path) -> list[Reader]:
    """Every reader, with a valid file that lossproof has written in a folder."""
    return [*_of_records(folder), *_of_sweeps(folder), *_of_answers(folder), *_of_calls(), *_of_the_rest(folder)]


def _of_records(folder: Path) -> Iterator[Reader]:
    record = _a_record(folder)
    few = ("--deck", "smoke", "--dtype", "float32", "--family", "hot")
    shards = _shards(folder, "run", "numpy", few, (0, 0))
    packed = gzip.compress(record, mtime=0)
    inside = (mutations.compressed(mutations.of_json_lines), mutations.compressed(mutations.of_lines))
    whole = read_record(folder / "made.jsonl")
    units = [_Unit(name, frozenset(o.id for o in whole if o.target == name)) for name in {o.target: 0 for o in whole}]
    id = next(o.id for o in whole if o.keeps_call and o.case.kind is Kind.CALL)
    merge = command("merge", "FILE", "VALID", "-o", "NEW", "--quiet")
    yield Reader("record", record, function(_record), ".jsonl", _LINES, often=_OFTEN)
    yield Reader(
        "record to go on with", record, function(_resumed(whole.header, units)), ".jsonl", _LINES, often=_OFTEN
    )
    yield Reader("compressed record", packed, function(_record), ".jsonl.gz", inside, often=_OFTEN)
    yield Reader("show", record, command("show", "FILE"), ".jsonl", _LINES)
    yield Reader("show as JSON", record, command("show", "FILE", "--json"), ".jsonl", _LINES)
    yield Reader("diff after", record, command("diff", "VALID", "FILE"), ".jsonl", _LINES)
    yield Reader("diff before", record, command("diff", "FILE", "VALID", "--format", "json"), ".jsonl", _LINES)
    yield Reader("waive", record, command("waive", "FILE", "--to", "NEW"), ".jsonl", _LINES)
    yield Reader("condense", record, command("condense", "FILE", "-o", "NEW"), ".jsonl", _LINES)
    yield Reader("merge", shards[0], merge, ".jsonl", _LINES, shards[1])
    yield Reader("explain", record, command("explain", id, "--record", "FILE"), ".jsonl", _LINES)
    yield Reader("repro", record, _in_process(command("repro", id, "--record", "FILE")), ".jsonl", _LINES)


def _of_sweeps(folder: Path) -> Iterator[Reader]:
    one, other = _shards(folder, "sweep", f"{_ONE_PATTERN}:WRONG", ("--dtype", "float16", "--chunks", "0-1"), (0, 1))
    failed = next(o.id for o in read_record(folder / "sweep-2.jsonl") if o.keeps_call)
    part = Part(kind="gaps16", ops=("softmax",), dtypes=("float16",), first=0, last=1, shard=Shard(2, 2))
    header = read_record(folder / "sweep-2.jsonl").header
    merge = command("merge", "VALID", "FILE", "-o", "NEW", "--quiet")
    yield Reader("sweep to go on with", other, function(_swept(header, part.chunks())), ".jsonl", _LINES, often=_OFTEN)
    yield Reader("merge of a sweep", other, merge, ".jsonl", _LINES, one)
    yield Reader("explain of a sweep", other, command("explain", failed, "--record", "FILE"), ".jsonl", _LINES)


def _swept(header: Mapping[str, Any], chunks: Sequence[Chunk]) -> Callable[[Path], object]:
    return lambda path: list(SweptBefore(path, header, chunks).chunks())


def _of_answers(folder: Path) -> Iterator[Reader]:
    answers = _some_answers(folder)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
        for name in ("numpy", "again"):
            member = tarfile.TarInfo(f"bundle/{name}{SUFFIX}")
            member.size = len(answers)
            tar.addfile(member, io.BytesIO(answers))
    judge = command("judge", "FILE", "--quiet")
    yield Reader("answers", answers, function(_answers), "", _FRAMES, often=_OFTEN)
    yield Reader("judge", answers, judge, "", _FRAMES)
    yield Reader("judge a bundle", packed.getvalue(), judge, ".tar.gz", (mutations.of_tar(mutations.of_frames),))


def _of_calls() -> Iterator[Reader]:
    small = Call(Problem("softmax", "float32", np.array([[0.5, 1.0, -2.0]])), "hand")
    rows = np.arange(4000.0).reshape(1000, 4) % 7
    labels = np.arange(1000) % 4
    large = Call(
        Problem("cross_entropy", "float32", rows, target=labels, reduction="mean", label_smoothing=0.1), "hand"
    )
    for name, call in (("call", small), ("call with much in it", large)):
        yield Reader(
            name, json.dumps(call.to_json()).encode(), function(kept_calls.read_call), ".json", _JSON, often=_OFTEN
        )


def _of_the_rest(folder: Path) -> Iterator[Reader]:
    waivers = (ROOT / "golden" / "waivers" / "keras.toml").read_bytes()
    condensed = min((ROOT / "docs" / "board" / "records").glob("*.json"), key=lambda p: p.stat().st_size).read_bytes()
    made = store.Environment("old", ("torch==2.0", "numpy<2"), "3.9.1", {"torch": "2.0"}, "uv", "2024-01-01T00:00:00")
    failed = json.dumps({"smoke 0": ["a/b"]}).encode()
    asked = b"# what we have\ntorch==2.0 \\\n    --hash=sha256:0123\nnumpy<2 ; python_version < '3.9'\n"
    toml = (mutations.of_lines, mutations.of_words)
    golden = (ROOT / "golden" / "spec.json").read_bytes()
    yield Reader(
        "golden values", golden, function(lambda p: check_published(lambda: stored(p))), ".json", _JSON, often=_OFTEN
    )
    yield Reader("waivers", waivers, function(load_waivers), ".toml", toml, often=_OFTEN)
    yield Reader("condensed record", condensed, function(read_condensed), ".json", _JSON, often=_OFTEN)
    yield Reader("board", condensed, command("board", "FILE", "-o", "NEW"), ".json", _JSON)
    yield Reader("last failed", failed, function(_last_failed), ".json", _JSON, often=_OFTEN)
    yield Reader("judgements", _judgements(folder), function(_store), ".sqlite", often=2)
    yield Reader("environment", json.dumps(asdict(made)).encode(), function(_environment), ".json", _JSON, often=_OFTEN)
    yield Reader("requirements", asked, function(lambda p: read_requirements(p)), ".txt", toml, often=_OFTEN)


def _judgements(folder: Path) -> bytes:
    path = folder / "judgements.sqlite"
    if not path.exists():
        with contextlib.closing(JudgementStore(path)) as kept:
            for key in _KEYS:
                kept.put(key, f"verdict {key[0]} " * 20)
    return path.read_bytes()


def _a_record(folder: Path) -> bytes:
    path = folder / "made.jsonl"
    if not path.exists():
        planted = f"{ROOT / 'tests' / 'support' / 'planted.py'}:ADAPTER"
        choice = (
            "--op",
            "softmax",
            "--dtype",
            "float32",
            "--id",
            "softmax/float32/h*",
            "--id",
            "*/scaled_overflow/*",
            "--id",
            "*/relation/*n2-k4*",
        )
        options = ("--deck", "smoke", *choice, "--in-process", "--quiet", "--record", str(path))
        result = CliRunner().invoke(cli, ["run", planted, *options], prog_name="lossproof")
        # sanity check: a record with findings
        assert result.exit_code == 1, result.output
    return path.read_bytes()


def _shards(
    folder: Path, command: str, target: str, options: Sequence[str], codes: tuple[int, int]
) -> tuple[bytes, bytes]:
    """The records of two shards of a run or of a sweep of softmax, which end with these codes."""
    paths = [folder / f"{command}-{i}.jsonl" for i in (1, 2)]
    for i, (path, code) in enumerate(zip(paths, codes, strict=True), 1):
        if not path.exists():
            others = ("--op", "softmax", "--in-process", "--quiet", "--shard", f"{i}/2", "--record", str(path))
            result = CliRunner().invoke(cli, [command, target, *options, *others], prog_name="lossproof")
            # sanity check: a shard
            assert result.exit_code == code, result.output
    return paths[0].read_bytes(), paths[1].read_bytes()


def _in_process(reading: Reading) -> Reading:
    """A reading that starts targets in this process, as it is done where there is no fork."""

    def read(path: Path) -> str:
        with mock.patch.object(selection, "PROCESSES", None):
            return reading(path)

    return read


def _some_answers(folder: Path) -> bytes:
    deck = folder / "deck"
    if not deck.exists():
        choice = ("--deck", "smoke", "--op", "softmax", "--dtype", "float32", "--family", "hot")
        result = CliRunner().invoke(cli, ["deck", "export", str(deck), *choice], prog_name="lossproof")
        # sanity check: a deck
        assert result.exit_code == 0, result.output
    command = [sys.executable, "-I", "adapters/boot.py", "adapters", "numpy"]
    return subprocess.run(command, cwd=deck, input=(deck / "deck").read_bytes(), capture_output=True, check=True).stdout
