"""Workers play the chunks of a sweep in processes of their own, each with targets of its own.

Results come in the order of the chunks and each exactly once, whoever plays what. A worker that ends costs the chunk
that it had a second try; one that ends two workers is given up, and the sweep says so.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection
from typing import Any

from lossproof.cases.sweeps.chunks import Chunk
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.running.session_options import Execution, Rules
from lossproof.running.sweeping.chunk_play import ChunkPlayer
from lossproof.running.timing import Clock
from lossproof.targets import selection
from lossproof.targets.target import Target

# Results that may wait for those before them, for each worker.
_AHEAD = 4
_TRIES = 2
# Seconds in which a worker that has nothing to do ends.
_PATIENCE = 2.0


@dataclass(frozen=True)
class ChunkResult:
    """A result is what a worker sends of a chunk."""

    observations: list[Observation]
    clock: Mapping[str, Any]
    lost: Mapping[str, str]


@dataclass
class _Worker:
    """A worker as its coordinator sees it, and the chunk that it has: its place, and what it is."""

    process: multiprocessing.process.BaseProcess
    pipe: connection.Connection
    has: tuple[int, Chunk] | None = None


@dataclass
class Workers:
    """So many processes that play chunks with targets of these ``names``.

    ``clock`` and ``lost`` hear of where time went, and of what was given up.
    """

    names: Sequence[str]
    number: int
    execution: Execution
    rules: Rules
    clock: Clock
    lost: dict[str, str]
    _alive: list[_Worker] = field(default_factory=list)

    def play(self, chunks: Iterator[Chunk]) -> Generator[list[Observation]]:
        """Yield the observations of each chunk, in order. Raises :class:`UsageError` where targets do not start."""
        numbered = enumerate(chunks)
        again: deque[tuple[int, Chunk]] = deque()
        failed: dict[int, int] = {}
        ready: dict[int, list[Observation]] = {}
        due, handed = 0, True
        while True:
            while len(self._alive) < self.number and handed:
                self._alive.append(self._started())
            for worker in self._alive:
                if worker.has is None and (again or len(ready) < _AHEAD * self.number):
                    task = again.popleft() if again else next(numbered, None)
                    handed = task is not None
                    if task is not None:
                        self._give(worker, task)
            busy = [worker for worker in self._alive if worker.has is not None]
            if not busy:
                return
            for worker in self._heard(busy):
                place, chunk = self._task(worker)
                worker.has = None
                result = self._received(worker)
                if result is not None:
                    ready[place] = result.observations
                    self.clock.more(result.clock)
                    self.lost.update(result.lost)
                else:
                    self._alive.remove(worker)
                    failed[place] = failed.get(place, 0) + 1
                    if failed[place] < _TRIES:
                        again.append((place, chunk))
                        handed = True
                    else:
                        self.lost[str(chunk)] = f"{_TRIES} workers ended with it; ask for it alone with --chunks"
                        ready[place] = []
            while due in ready:
                yield ready.pop(due)
                due += 1

    def _started(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        mine, its = context.Pipe()
        process = context.Process(target=work, args=(its, self.names, self.execution, self.rules), daemon=False)
        process.start()
        its.close()
        return _Worker(process, mine)

    def _give(self, worker: _Worker, task: tuple[int, Chunk]) -> None:
        worker.has = task
        # That one has ended shows when it is listened to.
        with contextlib.suppress(OSError):
            worker.pipe.send(task[1])

    def _heard(self, busy: Sequence[_Worker]) -> list[_Worker]:
        """Wait for those of the busy workers that have something to say, or have ended."""
        said = connection.wait([worker.pipe for worker in busy])
        return [worker for worker in busy if worker.pipe in said]

    def _task(self, worker: _Worker) -> tuple[int, Chunk]:
        # sanity check: only those who have a chunk are listened to
        assert worker.has is not None
        return worker.has

    def _received(self, worker: _Worker) -> ChunkResult | None:
        """What a worker sends; None if it has ended. An exception of its is raised here."""
        try:
            said = worker.pipe.recv()
        except (EOFError, OSError):
            self._end(worker)
            return None
        if isinstance(said, BaseException):
            raise said
        # sanity check: workers send nothing else
        assert isinstance(said, ChunkResult)
        return said

    def _end(self, worker: _Worker) -> None:
        # One that waits for a chunk hears of it, and ends its targets itself; those of another one hear of its end.
        worker.pipe.close()
        worker.process.join(_PATIENCE)
        worker.process.terminate()
        worker.process.join()

    def close(self) -> None:
        """End the workers, and with them their targets."""
        for worker in self._alive:
            self._end(worker)
        self._alive.clear()


def work(pipe: connection.Connection, names: Sequence[str], execution: Execution, rules: Rules) -> None:
    """Play the chunks that come through a pipe until nobody is at its other end."""
    # An interrupt at the terminal is the coordinator's to hear, who then ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        targets = selection.choose_targets(names, execution.processes)
    except UsageError as error:
        pipe.send(error)
        return
    try:
        player = ChunkPlayer(targets, rules.book(targets), execution.jobs)
        while True:
            chunk = pipe.recv()
            pipe.send(played_chunk(player, chunk))
    except (EOFError, OSError):
        # The coordinator is gone.
        return
    finally:
        selection.close(targets)


def played_chunk(player: ChunkPlayer, chunk: Chunk) -> ChunkResult:
    """Play a chunk, with a clock of its own."""
    player.clock, before = Clock(), _taken(player.targets)
    found = player.play(chunk)
    player.clock.close(())
    player.clock.processor.update(
        {name: taken - before.get(name, 0.0) for name, taken in _taken(player.targets).items()}
    )
    return ChunkResult(found, player.clock.facts(), player.lost)


def _taken(targets: Sequence[Target]) -> dict[str, float]:
    """The processor seconds that targets in processes have taken so far."""
    several = {t.name: t.player.processor_seconds() for t in targets if t.player is not None}
    return {name: seconds for name, seconds in several.items() if seconds is not None}
