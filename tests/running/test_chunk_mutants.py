"""Wrong ways to hand out the chunks of a sweep are killed: a chunk that is lost, counted twice, or out of its order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import Pipe
from typing import Any

import pytest

from lossproof.cases.sweeps.chunks import Chunk
from lossproof.core.observation import Observation
from lossproof.running.session_options import Execution, Rules
from lossproof.running.sweeping import scheduled, sweep_workers
from lossproof.running.sweeping.scheduled import Scheduled
from lossproof.running.sweeping.sweep_workers import ChunkResult, Workers
from lossproof.running.timing import Clock

CHUNKS = [Chunk("gaps32", "softmax", "float32", number) for number in range(12)]
# The chunks whose first worker dies over them, one of them the last.
DYING = (CHUNKS[0], CHUNKS[5], CHUNKS[11])


def found_of(chunk: Chunk) -> list[Observation]:
    """What is observed of a chunk, wherever it is played."""
    return [Observation(f"softmax/float32/gaps32-{bin}/n1-k2/00000000", "value", "t", "pass") for bin in chunk.bins]


WHOLE = [o.id for chunk in CHUNKS for o in found_of(chunk)]


@dataclass
class Future:
    """A task on a worker. The first worker of some chunks dies over it; what is tried again goes to another one."""

    work: Callable[[], ChunkResult]
    chunk: Chunk
    retries: int
    lost: list[str] = field(default_factory=list)

    def result(self) -> ChunkResult:
        if self.chunk in DYING:
            self.lost.append("a worker")
            if not self.retries:
                raise OSError("a worker died")
        return self.work()


@dataclass
class Cluster:
    """A client of a cluster that is this process."""

    def submit(self, work: Callable[..., ChunkResult], *asked: Any, retries: int, **how: object) -> Future:
        return Future(partial(work, *asked), asked[-1], retries)

    def nthreads(self) -> dict[str, int]:
        return {"here": 1}

    def close(self) -> None: ...


@dataclass
class Process:
    """A worker that is a thread."""

    thread: threading.Thread

    def join(self, seconds: float | None = None) -> None:
        self.thread.join(seconds)

    def terminate(self) -> None: ...


class Threads(Workers):
    """Workers that are threads; each that is the first to be asked for some chunks goes away over it."""

    dead: set[Chunk]

    def _started(self) -> Any:
        mine, its = Pipe()
        thread = threading.Thread(target=self._work, args=(its,), daemon=True)
        thread.start()
        return sweep_workers._Worker(Process(thread), mine)  # type: ignore[arg-type]

    def _work(self, pipe: Any) -> None:
        with closing(pipe):
            while True:
                try:
                    chunk = pipe.recv()
                except EOFError:
                    return
                if chunk in DYING and chunk not in self.dead:
                    self.dead.add(chunk)
                    return
                pipe.send(ChunkResult(found_of(chunk), {}, {}))


def by_cluster(monkeypatch: pytest.MonkeyPatch, of: type[Scheduled] = Scheduled) -> tuple[list[str], dict[str, str]]:
    monkeypatch.setattr(scheduled, "connected", lambda address: Cluster())
    monkeypatch.setattr(scheduled, "play_anywhere", lambda *asked: ChunkResult(found_of(asked[-1]), {}, {}))
    lost: dict[str, str] = {}
    return _ids(of("somewhere", ["numpy"], Execution(), Rules(), Clock(), lost)), lost


def by_processes(of: type[Threads] = Threads) -> tuple[list[str], dict[str, str]]:
    lost: dict[str, str] = {}
    workers = of(["numpy"], 2, Execution(), Rules(), Clock(), lost)
    workers.dead = set()
    return _ids(workers), lost


def _ids(workers: Scheduled | Workers) -> list[str]:
    with closing(workers):
        return [o.id for several in workers.play(iter(CHUNKS)) for o in several]


def test_each_chunk_comes_once_and_in_order_though_workers_die(monkeypatch: pytest.MonkeyPatch) -> None:
    assert by_cluster(monkeypatch) == (WHOLE, {})
    assert by_processes() == (WHOLE, {})


class CountedTwice(Scheduled):
    """What the first worker had done of a chunk is counted, too."""

    def _result(self, chunk: Chunk, future: Any) -> list[Observation]:
        found = super()._result(chunk, future)
        return found * (1 + len(future.lost))


class Dropped(Scheduled):
    """A chunk whose worker is lost is given up."""

    def _submitted(self, chunk: Chunk) -> Any:
        future = super()._submitted(chunk)
        future.retries = 0
        return future


class LastFirst(Scheduled):
    """What was given to workers last is taken first."""

    def play(self, chunks: Iterator[Chunk]) -> Generator[list[Observation]]:
        yield from super().play(iter(list(chunks)[::-1]))


class Unfinished(Scheduled):
    """What is under way when the last chunk was given out is not waited for."""

    def play(self, chunks: Iterator[Chunk]) -> Generator[list[Observation]]:
        given = list(chunks)
        for several, _ in zip(super().play(iter(given)), given[: -scheduled._AHEAD], strict=False):
            yield several


class EmptyHanded(Threads):
    """A worker that has ended is taken for one that found nothing."""

    def _received(self, worker: Any) -> ChunkResult | None:
        found = super()._received(worker)
        if found is None:
            self._alive.append(self._started())
            self._alive.remove(worker)
        return found or ChunkResult([], {}, {})


class TwiceInOrder(Threads):
    """A chunk that was tried again comes twice."""

    def play(self, chunks: Iterator[Chunk]) -> Generator[list[Observation]]:
        for several in super().play(chunks):
            yield several
            if several[0].id in {found_of(chunk)[0].id for chunk in self.dead}:
                yield several


class OneTry(Threads):
    """A chunk that has ended a worker is given up."""

    def play(self, chunks: Iterator[Chunk]) -> Generator[list[Observation]]:
        before, sweep_workers._TRIES = sweep_workers._TRIES, 1
        try:
            yield from super().play(chunks)
        finally:
            sweep_workers._TRIES = before


@pytest.mark.parametrize("wrong", [CountedTwice, Dropped, LastFirst, Unfinished])
def test_a_wrong_coordinator_of_a_cluster_is_killed(wrong: type[Scheduled], monkeypatch: pytest.MonkeyPatch) -> None:
    assert by_cluster(monkeypatch, wrong) != (WHOLE, {})


@pytest.mark.parametrize("wrong", [EmptyHanded, TwiceInOrder, OneTry])
def test_a_wrong_coordinator_of_processes_is_killed(wrong: type[Threads]) -> None:
    assert by_processes(wrong) != (WHOLE, {})
