"""Shards of a sweep: their merged record is the one that the whole sweep writes, and nothing else can be merged."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lossproof.cases.sweeps.chunks import chunk_of
from lossproof.core.case_id import CaseId
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.records.record import Record
from lossproof.running.sweeping import merged_sweep
from lossproof.running.timing import Clock
from tests.support import one_pattern
from tests.support.thinned import WHOLE
from tests.support.timeless import timeless_lines
from tests.support.views import lossproof

timeless = partial(timeless_lines, without=("command", "shards"))
WRONG = f"{one_pattern.__file__}:WRONG"
# Four chunks, of which one has the wrong pattern.
PART = ("--op", "softmax", "--dtype", "float16", "--chunks", "0-3", "--in-process")
SHARDS = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record of a sweep, whole.jsonl, and of its shards, 1.jsonl and so on; what was printed of the first."""
    made = tmp_path_factory.mktemp("sweep")
    printed = lossproof("sweep", WRONG, *PART, "-o", str(made / "whole.jsonl"))
    (made / "whole.txt").write_text(printed.stdout)
    for i in range(1, SHARDS + 1):
        lossproof("sweep", WRONG, *PART, "--quiet", "--shard", f"{i}/{SHARDS}", "-o", str(made / f"{i}.jsonl"))
    return made


def shards(folder: Path) -> list[str]:
    return [str(folder / f"{i}.jsonl") for i in range(SHARDS, 0, -1)]


def test_the_merged_record_is_that_of_the_whole_sweep(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "merged.jsonl"
    result = lossproof("merge", *shards(folder), "-o", str(out))
    assert result.exit_code == 1, "as the whole sweep"
    expected = timeless(folder / "whole.jsonl")
    # sanity check: there is a failure, and the call of its smallest rows travels with it
    assert [line for line in expected[1:-1] if line.get("verdict") == "fail"]
    assert [line for line in expected[1:-1] if "of" in line]
    assert timeless(out) == expected
    head = json.loads(out.read_text().splitlines()[0])
    assert [(s["index"], s["of"]) for s in head["shards"]] == [(i, SHARDS) for i in range(1, SHARDS + 1)]
    assert len(lossproof("diff", str(folder / "whole.jsonl"), str(out)).stdout.splitlines()) == 2
    several = sorted({line["of"] for line in expected[1:-1] if "of" in line})
    for wrong in several if WHOLE else several[:1]:
        assert lossproof("explain", wrong, "--record", str(out)).exit_code == 0


def test_the_report_is_that_of_the_whole_sweep(folder: Path) -> None:
    # Its name is as long, so that lines are broken in the same places.
    out = folder / "parts.jsonl"

    def shown(text: str) -> list[str]:
        lines = text.replace("whole.jsonl", "parts.jsonl").splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith("Time in seconds"))
        return [*lines[:start], lines[-1]]

    result = lossproof("merge", *shards(folder), "-o", str(out))
    assert shown(result.stdout) == shown((folder / "whole.txt").read_text())
    assert "not begun" not in result.stdout, "shards that lack chunks are not merged"


def test_a_search_is_merged_with_what_it_kept(tmp_path: Path) -> None:
    few = (
        "sweep",
        "numpy",
        "--kind",
        "search",
        "--op",
        "softmax",
        "--dtype",
        "float16",
        "--chunks",
        "0-2" if WHOLE else "0-1",
        "--in-process",
    )
    whole, out, *parts = (str(tmp_path / f"{name}.jsonl") for name in ("whole", "out", "1", "2"))
    lossproof(*few, "--quiet", "-o", whole)
    for i, part in enumerate(parts, 1):
        lossproof(*few, "--quiet", "--shard", f"{i}/2", "-o", part)
    assert lossproof("merge", *parts, "-o", out).exit_code == 0
    # sanity check: the worst rows travel, though they pass
    assert [line for line in timeless(Path(whole)) if "of" in line]
    assert timeless(Path(out)) == timeless(Path(whole))


Lines = Callable[[list[str]], Sequence[str]]


def changed(folder: Path, path: Path, change: Lines, shard: int = 1) -> str:
    """A shard whose lines are others; they begin with a header and end with what is said at the end."""
    lines = (folder / f"{shard}.jsonl").read_text().splitlines(keepends=True)
    path.write_text("".join(change(lines)))
    return str(path)


def headed(**differing: object) -> Lines:
    def change(lines: list[str]) -> list[str]:
        return [json.dumps({**json.loads(lines[0]), **differing}) + "\n", *lines[1:]]

    return change


def last_chunk_cut(lines: list[str]) -> list[str]:
    """The lines without those of the last chunk, as if no time had been left for it, and with an end that says so."""

    def number(line: str) -> int:
        data = json.loads(line)
        chunk = chunk_of(CaseId.parse(data["id"] if "id" in data else data["of"]))
        return chunk.number if chunk else -1

    # sanity check: the first shard has two chunks
    assert {number(line) for line in lines[1:-1]} == {0, 3}
    kept = [line for line in lines[1:-1] if number(line) == 0]
    end = json.loads(lines[-1])
    end["end"]["observations"] = sum('"id"' in line for line in kept)
    return [lines[0], *kept, json.dumps(end) + "\n"]


def test_records_that_do_not_belong_together_are_one_error(folder: Path, tmp_path: Path) -> None:
    three, two, one = shards(folder)
    out, other = str(tmp_path / "out.jsonl"), str(tmp_path / "other.jsonl")
    sweep = json.loads(Path(one).read_text().splitlines()[0])["sweep"]
    make = partial(changed, folder)
    run = str(tmp_path / "run.jsonl")
    deck = ("--deck", "smoke", "--op", "softmax", "--dtype", "float16", "--in-process")
    lossproof("run", "numpy", *deck, "--shard", "1/3", "--quiet", "--record", run)
    lossproof("sweep", "numpy", *PART, "--quiet", "--shard", "1/3", "-o", other)
    for arguments, message in (
        ((one, two), "shards 3/3 are missing"),
        ((one, two, two, three), "are both shard 2/3"),
        ((str(folder / "whole.jsonl"), one), "is no shard"),
        ((other, two, three), "are shards of two runs: targets."),
        ((run, two, three), "are shards of two runs: sweep"),
        ((two, three, run), "are shards of two runs: sweep"),
        (
            (make(tmp_path / "kind.jsonl", headed(sweep={**sweep, "kind": "gaps32"})), two, three),
            "are shards of two runs: sweep.kind was",
        ),
        (
            (make(tmp_path / "of.jsonl", headed(sweep={**sweep, "shard": "1/4"})), two, three),
            "are shards of two runs: number of shards was 4 and is 3",
        ),
        ((make(tmp_path / "none.jsonl", headed(sweep={**sweep, "shard": "x"})), two, three), "is no shard"),
        ((make(tmp_path / "cut.jsonl", lambda lines: lines[:-1]), two, three), "is cut short; finish it with --resume"),
        ((make(tmp_path / "time.jsonl", last_chunk_cut), two, three), "has nothing of chunk 3 of gaps16"),
        (
            (make(tmp_path / "lacking.jsonl", lambda lines: [*lines[:5], *lines[6:]]), two, three),
            "observations; expected the ",
        ),
        (
            (make(tmp_path / "more.jsonl", lambda lines: [*lines[:-1], lines[1], lines[-1]]), two, three),
            "does not follow its sweep at softmax/float16/gaps16-",
        ),
        ((str(tmp_path / "no"), two), "cannot read record"),
    ):
        result = lossproof("merge", *arguments, "-o", out)
        assert result.exit_code == 2, message
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1
        assert not Path(out).exists(), "nothing is left that would be in the way of the next try"
    old = [changed(folder, tmp_path / f"old{i}.jsonl", headed(suite="0.0.1"), shard=i) for i in range(1, SHARDS + 1)]
    assert "was made by lossproof 0.0.1" in lossproof("merge", *old, "-o", out).stderr


def test_a_merge_whose_record_is_gone_says_why_it_failed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.jsonl"

    def told(*_: object, **__: object) -> int:
        assert not out.exists()
        raise UsageError("the disk was taken out")

    monkeypatch.setattr("lossproof.cli.commands.merge.told", told)
    result = lossproof("merge", *shards(folder), "-o", str(out))
    assert (result.exit_code, result.stderr) == (2, "lossproof: error: the disk was taken out\n")


def test_the_times_are_those_of_all_shards_once(folder: Path, tmp_path: Path) -> None:
    def end(path: Path) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(path.read_text().splitlines()[-1])["end"]
        return found

    out = tmp_path / "merged.jsonl"
    lossproof("merge", *shards(folder), "-o", str(out), "-q")
    merged, parts = end(out), [end(folder / f"{i}.jsonl") for i in range(1, SHARDS + 1)]
    assert merged["seconds"] == pytest.approx(sum(part["seconds"] for part in parts))
    assert merged["clock"]["oracle"] == pytest.approx(sum(part["clock"]["oracle"] for part in parts))


def _shard_twice(of: Callable[..., float]) -> Callable[[Sequence[Record], Clock], float]:
    return lambda shards, clock: of([shards[0], *shards], clock)


def _next_shard(of: Callable[..., None]) -> Callable[..., None]:
    """Each chunk is taken from the shard after the one that has it."""

    def made(self: merged_sweep.MergedSweep, shards: Sequence[Record], chunks: Any, **more: Any) -> None:
        of(self, [*shards[1:], shards[0]], chunks, **more)

    return made


def _twice(of: Callable[..., list[Observation]]) -> Callable[..., list[Observation]]:
    return lambda self, chunk: of(self, chunk) * 2


def _without_the_last(of: Callable[..., list[Observation]]) -> Callable[..., list[Observation]]:
    return lambda self, chunk: of(self, chunk)[:-1]


# A part of the merge with a wrong step, and the test that kills it.
_WRONG: dict[str, tuple[object, str, Callable[..., Any], Callable[[Path, Path], None]]] = {
    "times-of-a-shard-twice": (merged_sweep, "told_ends", _shard_twice, test_the_times_are_those_of_all_shards_once),
    "chunks-twice": (merged_sweep._Chunks, "of", _twice, test_the_merged_record_is_that_of_the_whole_sweep),
    "chunks-cut": (merged_sweep._Chunks, "of", _without_the_last, test_the_merged_record_is_that_of_the_whole_sweep),
    "another-shard": (
        merged_sweep.MergedSweep,
        "__init__",
        _next_shard,
        test_the_merged_record_is_that_of_the_whole_sweep,
    ),
}


@pytest.mark.parametrize("name", _WRONG)
def test_a_wrong_merge_is_killed(name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, part, wrong, kills = _WRONG[name]
    monkeypatch.setattr(place, part, wrong(getattr(place, part)))
    with pytest.raises((AssertionError, OSError)):
        kills(folder, tmp_path)
