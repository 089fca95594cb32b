"""A sweep finds what is wrong at one bit pattern, and nothing where nothing is; it is the same however it is played."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import DTYPES, OPS, Problem
from lossproof.cases.catalogue import select
from lossproof.cases.deck_part import DRAWN
from lossproof.cases.sweeps.chunks import Chunk, Part, chunk_of
from lossproof.cases.sweeps.every_shape import EVERY_BATCH, EVERY_WIDTH
from lossproof.cases.sweeps.kind import SweepKind, is_smallest, is_worst
from lossproof.core.call import Call
from lossproof.core.case_id import CaseId
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.records.record import Writer
from lossproof.records.waivers import Book
from lossproof.running.loop import run
from lossproof.running.record_sink import RecordSink
from lossproof.running.session_options import Execution, Rules
from lossproof.running.sweeping.chunk_play import ChunkPlayer
from lossproof.running.sweeping.soak import Soaked, Turn, turns
from lossproof.running.sweeping.sweep_session import Swept, opened_sweep
from lossproof.running.sweeping.sweep_summary import SweepSummary
from lossproof.running.sweeping.sweep_workers import Workers
from lossproof.running.sweeping.swept_before import SweptBefore
from lossproof.running.timing import Clock
from lossproof.targets.target import Target, parse_target
from tests.support import one_pattern
from tests.support.one_pattern import GAP, OnePattern
from tests.support.thinned import WHOLE, nightly
from tests.support.timeless import timeless_lines
from tests.support.views import lossproof

timeless = partial(timeless_lines, without=("command", "environment"))
HERE = f"{one_pattern.__file__}:"
# The chunk with the gap of the wrong adapter.
CHUNK = Chunk("gaps16", "softmax", "float16", 1)
PART = Part(kind="gaps16", ops=("softmax",), dtypes=("float16",), first=1, last=3 if WHOLE else 2)
_MOST = 65_535
IN_PROCESS = Execution(in_process=True)


def played(adapter: NumpyAdapter, *chunks: Chunk) -> list[Observation]:
    target = Target(adapter)
    player = ChunkPlayer([target], Book([], [target]))
    return [o for chunk in chunks for o in player.play(chunk)]


def test_what_is_wrong_at_one_bit_pattern_is_found_in_one_row() -> None:
    found = played(OnePattern(), CHUNK)
    wrong = [o for o in found if o.verdict == "fail"]
    bins = [o for o in wrong if not is_smallest(o.case.family)]
    (one,) = (o for o in wrong if is_smallest(o.case.family))
    # The gap is in one bin, of rows of two classes.
    assert {(o.case.family, o.output) for o in bins} == {("gaps16-16", "value")}
    assert isinstance(one.call, Call)
    assert one.rows == 1
    x = one.call.problem.x
    assert x[0, -1] - x[0, 0] == GAP
    assert {o.call for o in bins} == {None}


@pytest.mark.parametrize(
    "op", [pytest.param(op, marks=nightly if op in ("log_softmax", "nll_loss") else ()) for op in OPS]
)
def test_nothing_is_found_of_an_implementation_that_is_right(op: str) -> None:
    found = played(NumpyAdapter(), Chunk("gaps16", op, "float16", 1))
    assert {o.verdict for o in found} <= {"pass", "convention"}
    assert sum(o.verdict == "pass" for o in found) > 90


def test_verdicts_are_those_of_a_run_of_the_same_calls() -> None:
    target = Target(OnePattern())
    straight = {(o.id, o.output): o for o in run([target], CHUNK.calls())}
    for o in played(OnePattern(), CHUNK):
        if not is_smallest(o.case.family):
            other = straight[o.id, o.output]
            assert (o.verdict, o.share, o.ulp, o.bits) == (other.verdict, other.share, other.ulp, other.bits)


def test_what_a_waiver_speaks_of_is_not_looked_for() -> None:
    target = Target(OnePattern())

    class Known(Book):
        def mark(self, o: Observation, *, explored: bool = False, partial: bool = False) -> Observation:
            return replace(o, waiver="known") if o.verdict == "fail" else o

    assert not any(is_smallest(o.case.family) for o in ChunkPlayer([target], Known([], [target])).play(CHUNK))


def test_a_soak_takes_turns_and_stops_at_what_it_finds_if_told_so() -> None:
    many = list(itertools.islice(turns(7), 48))
    assert many == list(itertools.islice(turns(7), 48))
    assert many != list(itertools.islice(turns(8), 48))
    assert {(turn.op, turn.dtype) for turn in many} == set(itertools.product(OPS, DTYPES))
    kinds = {turn.chunk.kind if turn.chunk else "deck" for turn in many}
    assert kinds > {"deck", "search"}
    target = Target(OnePattern())
    right, wrong = Turn("softmax", "float16", chunk=replace(CHUNK, number=0)), Turn("softmax", "float16", chunk=CHUNK)
    some = [right, wrong, right] if WHOLE else [wrong, right]
    for until_found, done in ((True, len(some) - 1), (False, len(some))):
        player = ChunkPlayer([target], Book([], [target]))
        source = Soaked([target], iter(some), player, 600.0, until_found)
        found = list(source.observations())
        assert source.done == done
        assert any(o.verdict == "fail" for o in found)
    # Tables tell kinds apart, whose bins mean different things.
    summary = SweepSummary()
    for kind, bin in (("gaps16", 63), ("search", 4095)):
        summary.add(Observation(f"softmax/float16/{kind}-{bin}/n1-k2/00000000", "value", "numpy", "pass", share=0.5))
    assert [found.kind.name for found in summary.outputs.values()] == ["gaps16", "search"]
    late = Soaked([target], iter([right]), ChunkPlayer([target], Book([], [target])), 0.0)
    assert list(late.observations()) == []


def test_a_soak_asks_the_drawn_calls_of_its_seed() -> None:
    target = Target(NumpyAdapter())
    player = ChunkPlayer([target], Book([], [target]))
    turn = next(turns(11))
    assert (turn.seed, turn.chunk) == (11, None)
    source = Soaked([target], iter([replace(turn, op="nll_loss", dtype="float32")]), player, 600.0)
    found = {o.id for o in itertools.islice(source.observations(), None if WHOLE else 100)}
    calls = {call.id for call in select("default", 11, ("nll_loss",), ("float32",), DRAWN)}
    assert len(found) > 20
    assert found == calls if WHOLE else found < calls


class SixteenBits(NumpyAdapter):
    """An adapter that counts classes and rows in 16 bits: what is beyond is not there."""

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        n, k = problem.x.shape
        if problem.op == "cross_entropy" and n > _MOST:
            # The mean has all rows in its denominator.
            assert problem.target is not None
            out = super().evaluate(problem, device, mode)
            few = replace(problem, x=problem.x[:_MOST], target=problem.target[:_MOST], reduction="sum")
            data = super().evaluate(few, device, mode)["value"].data / n
            return {**out, "value": replace(out["value"], data=np.asarray(np.float32(data), dtype=np.float64))}
        if problem.op == "softmax" and k > _MOST:
            hidden = np.where(np.arange(k) < _MOST, problem.x, -np.inf)
            return super().evaluate(replace(problem, x=hidden), device, mode)
        return super().evaluate(problem, device, mode)


@pytest.mark.parametrize(("kind", "op"), [(EVERY_WIDTH, "softmax"), (EVERY_BATCH, "cross_entropy")])
def test_an_end_that_is_not_read_is_found_at_the_first_size_that_has_it(kind: SweepKind, op: str) -> None:
    for size, wrong in ((_MOST, False), (_MOST + 1, True)):
        calls = [call for call in kind.make(op, "float32", size - 1) if not call.outline.has_probability_target]
        verdicts = [o.verdict for o in run([Target(SixteenBits())], calls) if o.output == "value"]
        assert verdicts == ["fail" if wrong else "pass"]
        assert {o.verdict for o in run([Target(NumpyAdapter())], calls)} == {"pass"}


class Doubled(NumpyAdapter):
    """An adapter with errors twice as large: within the bound of most rows, and beyond it in the worst."""

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        out = super().evaluate(problem, device, mode)
        if problem.op == "log_softmax":
            exact = super().evaluate(replace(problem, dtype="float64", cotangent=None), device, mode)["value"].data
            data = (exact + 2.0 * (out["value"].data - exact)).astype(np.float32).astype(np.float64)
            out["value"] = replace(out["value"], data=data)
        return out


def test_a_search_climbs_to_what_no_random_row_shows() -> None:
    chunk = Chunk("search", "log_softmax", "float32", 1)
    random = list(run([Target(Doubled())], chunk.calls()))
    assert {o.verdict for o in random} == {"pass"}
    found = played(Doubled(), chunk)
    assert {o.output for o in found if o.verdict == "fail"} == {"value"}
    right = played(NumpyAdapter(), chunk)
    assert {o.verdict for o in right} == {"pass"}
    shares = [max(o.share for o in several if o.output == "value") for several in (random, right)]
    assert shares[1] > 0.6 > shares[0] / 2
    # Its calls come along, and it is the same search each time (whose shards give what the whole gives).
    again = played(NumpyAdapter(), chunk) if WHOLE else right
    assert [(o.id, o.output, o.share, o.bits) for o in again] == [(o.id, o.output, o.share, o.bits) for o in right]
    assert all(isinstance(o.call, Call) and o.call.id == o.id for o in right if is_worst(o.case.family))
    assert any(is_worst(o.case.family) for o in right)


def test_waivers_speak_of_what_is_swept_as_of_explored_calls(tmp_path: Path) -> None:
    file = tmp_path / "one_pattern.toml"
    file.write_text(
        '[[waiver]]\nname = "known"\ncases = ["softmax/float64/none/*"]\nexplored = ["softmax/float16/*"]\n'
        'symptom = "inaccurate"\nreason = "r"\nissue = "i"\nseen = ["1"]\n'
    )
    rules = Rules(waivers=[str(file)])
    part = replace(PART, last=1)
    with closing(opened_sweep([f"{HERE}WRONG"], part, execution=IN_PROCESS, rules=rules)) as session:
        ended = session.play()
    # The bin, and no smaller rows: nobody looks for them.
    assert (ended.summary.total["waived"], ended.summary.total["fail"], ended.reasons) == (1, 0, [])


def recorded(path: Path, name: str, *, resume: bool = False, part: Part = PART, **options: Any) -> Swept:
    """Sweep into a record, or finish it."""
    with closing(opened_sweep([name], part, execution=IN_PROCESS, **options)) as session:
        source = session.source
        assert isinstance(source, Swept)
        kept = {}
        if resume:
            source.before = SweptBefore(path, session.header, source.chunks)
            if source.before.done:
                return source
            kept = {"keep": source.before.bytes, "count": source.before.count}
        with Writer(path, session.header, **kept) as writer:
            session.play(RecordSink(writer, kept=writer.count))
        return source


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "r.jsonl"
    recorded(path, f"{HERE}WRONG")
    return path


@pytest.mark.parametrize("cut", [0.7777, 1.0, *(pytest.param(cut, marks=nightly) for cut in (0.0, 0.5, 0.999))])
def test_a_record_cut_anywhere_is_completed(cut: float, whole: Path, tmp_path: Path) -> None:
    data = whole.read_bytes()
    head = data.index(b"\n") + 1
    at = head + int(cut * (len(data) - head))
    for n, end in enumerate((at, data.rfind(b"\n", 0, at) + 1)):
        path = tmp_path / f"{n}.jsonl"
        path.write_bytes(data[:end])
        recorded(path, f"{HERE}WRONG", resume=True)
        assert timeless(path) == timeless(whole)


def by_chunk(path: Path) -> list[list[str]]:
    """The lines of a record: its header, those of each chunk, its end."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines(keepends=True):
        said = json.loads(line)
        # The call of an observation has a line of its own.
        name = said.get("id") or said.get("of")
        found.setdefault(str(chunk_of(CaseId.parse(name))) if name else next(iter(said)), []).append(line)
    return list(found.values())


@pytest.mark.parametrize("lost", range(len(PART.chunks())))
def test_a_chunk_that_was_given_up_is_asked_again(lost: int, whole: Path, tmp_path: Path) -> None:
    """A record lacks the chunk that two workers have ended with."""
    path = tmp_path / "r.jsonl"
    head, *chunks, end = by_chunk(whole)
    # sanity check: each has something
    assert len(chunks) == PART.last
    del chunks[lost]
    path.write_text("".join([*head, *itertools.chain(*chunks), *end]))
    recorded(path, f"{HERE}WRONG", resume=True)
    assert timeless(path) == timeless(whole)


def test_a_record_of_chunks_in_another_order_is_not_gone_on_with(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    head, first, second, *_ = by_chunk(whole)
    path.write_text("".join([*head, *first, *second, *first]))
    with pytest.raises(UsageError, match="does not follow this sweep"):
        recorded(path, f"{HERE}WRONG", resume=True)


def test_a_sweep_whose_time_was_up_is_gone_on_with(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    assert recorded(path, f"{HERE}WRONG", seconds=1e-9).unbegun == PART.last
    assert len(timeless(path)) == 2
    assert recorded(path, f"{HERE}WRONG", resume=True).unbegun == 0
    assert timeless(path) == timeless(whole)


# A sweep that was killed is completed by workers, and told from its end in one process.
@nightly
def test_workers_give_what_one_process_gives(whole: Path, tmp_path: Path) -> None:
    recorded(tmp_path / "r.jsonl", f"{HERE}WRONG", workers=2)
    assert timeless(tmp_path / "r.jsonl") == timeless(whole)


def test_a_killed_sweep_is_completed(whole: Path, tmp_path: Path) -> None:
    """SIGKILL, for the coordinator alone: its workers notice."""
    path = tmp_path / "r.jsonl"
    chunks = f"{PART.first}-{PART.last}"
    command = ("sweep", f"{HERE}WRONG", "--op", "softmax", "--dtype", "float16", "--chunks", chunks, "-q")
    arguments = (*command, "--workers", "2", "-o", str(path), "--resume")
    process = subprocess.Popen([sys.executable, "-m", "lossproof", *arguments], stdout=subprocess.DEVNULL)
    while process.poll() is None and not (path.exists() and path.read_bytes().count(b"\n") > 40):
        time.sleep(0.002)
    process.kill()
    process.wait()
    assert lossproof(*arguments).exit_code == 1
    # Where targets answer is told of them in the header.
    found, expected = (timeless_lines(p, without=("command", "environment", "targets")) for p in (path, whole))
    assert found == expected


def test_a_worker_that_ends_costs_its_chunk_a_second_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE_PATTERN", str(tmp_path))
    lost: dict[str, str] = {}
    chunks = PART.chunks()[: 2 if WHOLE else 1]
    with closing(Workers([f"{HERE}DIES"], len(chunks), IN_PROCESS, Rules(), Clock(), lost)) as workers:
        found = list(workers.play(iter(chunks)))
    assert (tmp_path / "died").exists()
    assert lost == {}
    right = [played(NumpyAdapter(), chunk) for chunk in chunks]
    assert [[(o.id, o.output, o.bits) for o in one] for one in found] == [
        [(o.id, o.output, o.bits) for o in one] for one in right
    ]


def test_a_chunk_that_ends_its_workers_is_given_up_and_the_sweep_says_so() -> None:
    lost: dict[str, str] = {}
    with closing(Workers([f"{HERE}MORTAL"], 1, IN_PROCESS, Rules(), Clock(), lost)) as workers:
        assert list(workers.play(iter([CHUNK]))) == [[]]
    assert list(lost) == ["chunk 1 of gaps16, softmax in float16"]


def test_special_numbers_are_judged_by_their_clauses() -> None:
    """NaN and infinities are in bins that hold nothing else: no other row is judged as they are."""
    found = [o for o in played(NumpyAdapter(), CHUNK) if o.conventions.keys() - {"tail"}]
    assert {o.case.family for o in found} == {"gaps16-31"}
    target = parse_target("numpy")
    (call, *_) = (c for c in CHUNK.calls() if c.family == "gaps16-31")
    value = next(iter(target.play([call.problem]))).outputs["value"].data
    assert np.isnan(value).any()
