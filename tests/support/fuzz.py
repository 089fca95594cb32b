"""Fuzzing of everything that reads a file: valid files, mutated, are read or refused in one line, never a traceback.

``python -m tests.support.fuzz --inputs 1000000`` mutates that many files, by turns for each reader, and prints how many
were read and how many refused; the first that fails is written next to the others and its traceback printed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from lossproof.adapters.protocol import Problem
from lossproof.cases import kept_calls
from lossproof.cli.main import cli
from lossproof.core.call import Call
from lossproof.core.case_id import Kind
from lossproof.core.errors import UsageError
from lossproof.records.last_failed import LastFailed
from lossproof.records.record import read_record
from lossproof.records.waivers import load_waivers
from lossproof.running.detached import AnswerFile

ROOT = Path(__file__).resolve().parents[2]
_BATCH = 2000
# What a number, a name or a list in a file may be turned into.
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308, "inf", "nan", "", "x", "\u2028", "\udcff"),
    *("0x1p+0", "0x1p+99999", "softmax", "float32", "a/b/c/d/e", "../..", "[red]", "%s", [], [[]], {}, {"a": {}}),
)

Reading = Callable[[Path], str]


class BrokenReaderError(AssertionError):
    """A reader did not end in success or in one line."""


@dataclass(frozen=True)
class Reader:
    """A reader of files: a valid file, and what reads one: it returns whether it was read, as a word.

    Of ``lines`` each is a JSON object. ``beside`` it lies another valid file, by default the same.
    """

    name: str
    valid: bytes
    read: Reading
    suffix: str = ""
    lines: bool = False
    beside: bytes | None = None


Mutation = tuple[str, float, float, Any]
MUTATIONS = st.lists(
    st.tuples(
        st.sampled_from(("node", "drop", "copy", "cut", "flip", "insert", "line", "twice", "crlf", "bom", "swap")),
        st.floats(0, 1, exclude_max=True),
        st.floats(0, 1, exclude_max=True),
        st.one_of(st.sampled_from(_VALUES), st.integers(), st.floats(), st.text(max_size=8)),
    ),
    min_size=1,
    max_size=4,
)


def mutated(reader: Reader, mutations: list[Mutation]) -> bytes:
    """The valid file of a reader with some mutations."""
    data = reader.valid
    for kind, where, which, value in mutations:
        data = _changed(data, kind, where, which, value, lines=reader.lines)
    return data


def _changed(data: bytes, kind: str, where: float, which: float, value: Any, *, lines: bool) -> bytes:
    at = int(where * len(data))
    if kind in ("node", "drop", "copy"):
        return _in_json(data, kind, where, which, value, lines=lines)
    if kind == "cut":
        return data[:at]
    if kind == "flip" and data:
        return data[:at] + bytes([data[at] ^ 1 << int(which * 8)]) + data[at + 1 :]
    if kind == "insert":
        return data[:at] + str(value).encode("utf-8", "surrogateescape") + data[at:]
    rows = data.split(b"\n")
    row = int(where * len(rows))
    if kind == "line":
        return b"\n".join(rows[:row] + rows[row + 1 :])
    if kind == "twice":
        return b"\n".join([*rows[: row + 1], *rows[row:]])
    if kind == "swap":
        rows.insert(int(which * len(rows)), rows.pop(row))
        return b"\n".join(rows)
    return data.replace(b"\n", b"\r\n") if kind == "crlf" else b"\xef\xbb\xbf" + data


def _in_json(data: bytes, kind: str, where: float, which: float, value: Any, *, lines: bool) -> bytes:
    """Change a place in a JSON value; a file that is none stays."""
    rows = data.split(b"\n") if lines else [data]
    # The first line, a header, is what most readers look at.
    row = 0 if which < 0.5 else int(where * len(rows))
    try:
        tree = json.loads(rows[row])
    except (ValueError, UnicodeDecodeError, RecursionError):
        return data
    places = list(_places(tree))
    if not places:
        return data
    owner, key = places[int((2 * which % 1) * len(places))]
    if kind == "drop":
        del owner[key]
    elif kind == "copy":
        other, its = places[int(where * len(places))]
        owner[key] = json.loads(json.dumps(other[its]))
    else:
        owner[key] = value
    rows[row] = json.dumps(tree).encode("utf-8", "surrogatepass")
    return b"\n".join(rows)


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield tree, key
        yield from _places(value)


def _command(*arguments: str) -> Reading:
    """Read a file with a command; ``FILE`` among its arguments is its name, ``VALID`` that of the valid file."""

    def read(path: Path) -> str:
        valid = path.with_name(f"valid{path.suffix}")
        names = {"FILE": str(path), "VALID": str(valid), "NEW": str(path.with_name("new"))}
        path.with_name("new").unlink(missing_ok=True)
        result = CliRunner().invoke(cli, [names.get(a, a) for a in arguments], prog_name="lossproof")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        errors = [line for line in result.stderr.splitlines() if line.startswith("lossproof: error: ")]
        if result.exit_code == 2 and len(errors) != 1:
            raise BrokenReaderError(f"expected one line, found {result.stderr!r}")
        return "refused" if result.exit_code == 2 else "read"

    return read


def _function(function: Callable[[Path], object]) -> Reading:
    def read(path: Path) -> str:
        try:
            function(path)
        except UsageError as error:
            if not str(error).strip():
                raise BrokenReaderError("a mistake without words") from error
            return "refused"
        return "read"

    return read


def _answers(path: Path) -> None:
    AnswerFile(path).close()


def _last_failed(path: Path) -> None:
    place = LastFailed(path.parent, "here", "smoke 0")
    file = place.path
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(path.read_bytes())
    place.patterns()
    place.keep(["a/b"])


def readers(folder: Path) -> list[Reader]:
    """Every reader, with a valid file that lossproof has written in a folder."""
    record, shards = _a_record(folder), _two_shards(folder)
    id = next(o.id for o in read_record(folder / "made.jsonl") if o.keeps_call and o.case.kind is Kind.CALL)
    call = Call(Problem("softmax", "float32", np.array([[0.5, 1.0, -2.0]])), "hand")
    waivers = (ROOT / "golden" / "waivers" / "numpy.toml").read_bytes()
    found = [
        Reader(f"show {name}", data, _command("show", "FILE", *more), suffix, True)
        for name, data, suffix, more in (
            ("record", record, ".jsonl", ()),
            ("record as JSON", record, ".jsonl", ("--json",)),
        )
    ]
    found += [
        Reader("show compressed", gzip.compress(record, mtime=0), _command("show", "FILE"), ".jsonl.gz"),
        Reader("diff after", record, _command("diff", "VALID", "FILE"), ".jsonl", True),
        Reader("diff before", record, _command("diff", "FILE", "VALID", "--format", "json"), ".jsonl", True),
        Reader("waive", record, _command("waive", "FILE", "--to", "NEW"), ".jsonl", True),
        Reader(
            "merge", shards[0], _command("merge", "FILE", "VALID", "-o", "NEW", "--quiet"), ".jsonl", True, shards[1]
        ),
        Reader("explain", record, _command("explain", id, "--record", "FILE"), ".jsonl", True),
        Reader("waivers", waivers, _function(load_waivers), ".toml"),
        Reader("a call", json.dumps(call.to_json()).encode(), _function(kept_calls.read_call), ".json"),
        Reader("answers", _some_answers(folder), _function(_answers)),
        Reader("judge", _some_answers(folder), _command("judge", "FILE", "--quiet")),
        Reader("last failed", json.dumps({"smoke 0": ["a/b"]}).encode(), _function(_last_failed), ".json"),
    ]
    return found


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


def _two_shards(folder: Path) -> tuple[bytes, bytes]:
    paths = [folder / f"shard-{i}.jsonl" for i in (1, 2)]
    choice = ("--deck", "smoke", "--op", "softmax", "--dtype", "float32", "--family", "hot", "--in-process", "--quiet")
    for i, path in enumerate(paths, 1):
        if not path.exists():
            options = (*choice, "--shard", f"{i}/2", "--record", str(path))
            result = CliRunner().invoke(cli, ["run", "numpy", *options], prog_name="lossproof")
            # sanity check: a shard
            assert result.exit_code == 0, result.output
    return paths[0].read_bytes(), paths[1].read_bytes()


def _some_answers(folder: Path) -> bytes:
    deck = folder / "deck"
    if not deck.exists():
        choice = ("--deck", "smoke", "--op", "softmax", "--dtype", "float32", "--family", "hot")
        result = CliRunner().invoke(cli, ["deck", "export", str(deck), *choice], prog_name="lossproof")
        # sanity check: a deck
        assert result.exit_code == 0, result.output
    command = [sys.executable, "-I", "adapters/boot.py", "adapters", "numpy"]
    return subprocess.run(command, cwd=deck, input=(deck / "deck").read_bytes(), capture_output=True, check=True).stdout


def fuzz(reader: Reader, folder: Path, inputs: int, start: int) -> Counter[str]:
    """Read so many mutated files, and count what became of them.

    Raises what a reader raises that is no :class:`UsageError`, with the file that made it left in the folder.
    """
    counts: Counter[str] = Counter()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"valid{reader.suffix}").write_bytes(reader.valid if reader.beside is None else reader.beside)
    path = folder / f"mutated{reader.suffix}"
    # sanity check: what is mutated is valid
    path.write_bytes(reader.valid)
    assert reader.read(path) == "read", reader.name

    for done in range(0, inputs, _BATCH):

        @seed(start + done)
        @settings(
            max_examples=min(_BATCH, inputs - done),
            database=None,
            deadline=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(MUTATIONS)
        def every_file_is_read_or_refused(mutations: list[Mutation]) -> None:
            path.write_bytes(mutated(reader, mutations))
            counts[reader.read(path)] += 1

        every_file_is_read_or_refused()
    return counts


def main() -> int:
    """Fuzz all readers by turns; the exit code is 1 where one of them breaks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000, help="mutated files in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", default="", help="only readers with this in their name")
    options = parser.parse_args()
    broken = 0
    with tempfile.TemporaryDirectory() as folder:
        several = [r for r in readers(Path(folder)) if options.reader in r.name]
        for n, reader in enumerate(several):
            try:
                counts = fuzz(reader, Path(folder) / str(n), -(-options.inputs // len(several)), options.seed)
                print(f"{reader.name}: {counts['read']} read, {counts['refused']} refused", flush=True)
            except Exception:
                broken += 1
                print(f"{reader.name} breaks:", flush=True)
                traceback.print_exc()
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
