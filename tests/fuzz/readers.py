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
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from click.testing import CliRunner

from lossproof.adapters.play import SUFFIX
from lossproof.cases import kept_calls
from lossproof.cases.shard import Shard
from lossproof.cases.sweeps.chunks import Chunk, Part
from lossproof.cli.main import cli
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
from tests.fuzz.valid_files import (
    KEYS,
    ONE_PATTERN,
    PLANTED,
    ROOT,
    WAIVERS,
    a_record,
    judgements,
    shards_of,
    some_answers,
    some_calls,
)

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


# The targets of the two records that differ.
PAIR = ("--targets", f"{PLANTED}:ADAPTER={PLANTED}:ADAPTER+careful")
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


def _in_process(reading: Reading) -> Reading:
    """A reading that starts targets in this process, as it is done where there is no fork."""

    def read(path: Path) -> str:
        with mock.patch.object(selection, "PROCESSES", None):
            return reading(path)

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
            # The command makes one line of several.
            said = str(error).replace("\n", " ")
            if not said.strip() or not said.isprintable():
                raise BrokenReaderError(f"no line: {said!r}") from error
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


def _store(path: Path) -> None:
    for more in ("-wal", "-shm"):
        path.with_name(path.name + more).unlink(missing_ok=True)
    kept = JudgementStore(path)
    for text in kept.get(KEYS).values():
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
    record = a_record(folder)
    few = ("--deck", "smoke", "--dtype", "float32", "--family", "hot")
    shards = shards_of(folder, "run", "numpy", few, (0, 0))
    packed = gzip.compress(record, mtime=0)
    inside = (mutations.compressed(mutations.of_json_lines), mutations.compressed(mutations.of_lines))
    whole = read_record(folder / "made.jsonl")
    units = [_Unit(name, frozenset(o.id for o in whole if o.target == name)) for name in {o.target: 0 for o in whole}]
    id = next(o.id for o in whole if o.keeps_call and o.case.kind is Kind.CALL)
    merge = command("merge", "FILE", "VALID", "-o", "NEW", "--quiet")
    careful = a_record(folder, "+careful")
    yield Reader("record", record, function(_record), ".jsonl", _LINES, often=_OFTEN)
    yield Reader(
        "record to go on with", record, function(_resumed(whole.header, units)), ".jsonl", _LINES, often=_OFTEN
    )
    yield Reader("compressed record", packed, function(_record), ".jsonl.gz", inside, often=_OFTEN)
    yield Reader("show", record, command("show", "FILE"), ".jsonl", _LINES)
    yield Reader("show as JSON", record, command("show", "FILE", "--json"), ".jsonl", _LINES)
    yield Reader("diff after", careful, command("diff", "VALID", "FILE", *PAIR), ".jsonl", _LINES, record)
    yield Reader("diff before", record, command("diff", "FILE", "VALID", "--format", "json"), ".jsonl", _LINES)
    yield Reader("waive", record, command("waive", "FILE", "--to", "NEW"), ".jsonl", _LINES)
    yield Reader("condense", record, command("condense", "FILE", "-o", "NEW"), ".jsonl", _LINES)
    yield Reader("merge", shards[0], merge, ".jsonl", _LINES, shards[1])
    yield Reader("explain", record, command("explain", id, "--record", "FILE"), ".jsonl", _LINES)
    yield Reader("repro", record, _in_process(command("repro", id, "--record", "FILE")), ".jsonl", _LINES)


def _of_sweeps(folder: Path) -> Iterator[Reader]:
    one, other = shards_of(folder, "sweep", f"{ONE_PATTERN}:WRONG", ("--dtype", "float16", "--chunks", "0-1"), (0, 1))
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
    answers = some_answers(folder)
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
    for name, call in some_calls():
        yield Reader(
            name, json.dumps(call.to_json()).encode(), function(kept_calls.read_call), ".json", _JSON, often=_OFTEN
        )


def _of_the_rest(folder: Path) -> Iterator[Reader]:
    waivers = (ROOT / "golden" / "waivers" / "jax.toml").read_bytes()
    condensed = min((ROOT / "docs" / "board" / "records").glob("*.json"), key=lambda p: p.stat().st_size).read_bytes()
    made = store.Environment("old", ("torch==2.0", "numpy<2"), "3.9.1", {"torch": "2.0"}, "uv", "2024-01-01T00:00:00")
    failed = json.dumps({"smoke 0": ["a/b"]}).encode()
    asked = b"# what we have\ntorch==2.0 \\\n    --hash=sha256:0123\nnumpy<2 ; python_version < '3.9'\n"
    toml = (mutations.of_lines, mutations.of_words)
    # The record that the readers of records are given.
    condense = command("condense", str(folder / "made.jsonl"), "--waivers", "FILE", "-o", "NEW")
    golden = (ROOT / "golden" / "spec.json").read_bytes()
    yield Reader(
        "golden values", golden, function(lambda p: check_published(lambda: stored(p))), ".json", _JSON, often=_OFTEN
    )
    yield Reader("waivers", waivers, function(load_waivers), ".toml", toml, often=_OFTEN)
    yield Reader("waivers in force", WAIVERS, condense, ".toml", toml)
    yield Reader("condensed record", condensed, function(read_condensed), ".json", _JSON, often=_OFTEN)
    yield Reader("board", condensed, command("board", "FILE", "-o", "NEW"), ".json", _JSON)
    yield Reader("last failed", failed, function(_last_failed), ".json", _JSON, often=_OFTEN)
    yield Reader("judgements", judgements(folder), function(_store), ".sqlite", often=2)
    yield Reader("environment", json.dumps(asdict(made)).encode(), function(_environment), ".json", _JSON, often=_OFTEN)
    yield Reader("requirements", asked, function(lambda p: read_requirements(p)), ".txt", toml, often=_OFTEN)
