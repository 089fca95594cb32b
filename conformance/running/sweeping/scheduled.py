"""A scheduler of dask.distributed has the workers that play the chunks of a sweep, on whatever machines they are.

Results come in the order of the chunks, each once. What dask does when a worker dies is a second try elsewhere.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lossproof.cases.sweeps.chunks import Chunk
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.running.cluster import connected, pinned
from lossproof.running.session_options import Execution, Rules
from lossproof.running.sweeping.chunk_play import ChunkPlayer
from lossproof.running.sweeping.sweep_workers import ChunkResult, played_chunk
from lossproof.running.timing import Clock
from lossproof.targets import selection

# Chunks that are under way or wait for those before them, for each thread of the workers.
_AHEAD = 4
_RETRIES = 1


@dataclass
class Scheduled:
    """The workers of a scheduler at an ``address``, which play chunks with targets of these ``names``.

    ``clock`` and ``lost`` hear of where time went, and of what was given up. Raises :class:`UsageError` without the
    package, and where nobody answers at the address.
    """

    address: str
    names: Sequence[str]
    execution: Execution
    rules: Rules
    clock: Clock
    lost: dict[str, str]

    def __post_init__(self) -> None:
        self._client: Any = connected(self.address)

    def play(self, chunks: Iterator[Chunk]) -> Generator[list[Observation]]:
        """Yield the observations of each chunk, in order. Raises :class:`UsageError` where targets do not start."""
        pending: deque[tuple[Chunk, Any]] = deque()
        for chunk in chunks:
            pending.append((chunk, self._submitted(chunk)))
            while len(pending) >= _AHEAD * max(1, sum(self._client.nthreads().values())):
                yield self._result(*pending.popleft())
        while pending:
            yield self._result(*pending.popleft())

    def _submitted(self, chunk: Chunk) -> Any:
        return self._client.submit(
            play_anywhere,
            tuple(self.names),
            self.execution,
            self.rules,
            chunk,
            pure=False,
            retries=_RETRIES,
            resources=pinned(self._client, self.names),
        )

    def _result(self, chunk: Chunk, future: Any) -> list[Observation]:
        try:
            result = future.result()
        except UsageError:
            raise
        except Exception as error:  # whatever a machine elsewhere may raise costs its chunk
            self.lost[str(chunk)] = f"no worker played it to its end: {error}"
            return []
        # sanity check: that is what was asked for
        assert isinstance(result, ChunkResult)
        self.clock.more(result.clock)
        self.lost.update(result.lost)
        return result.observations

    def close(self) -> None:
        """Let go of the scheduler; what is not played yet is not played."""
        self._client.close()


_PLAYERS: dict[str, ChunkPlayer] = {}
_LOCK = threading.Lock()


def play_anywhere(names: Sequence[str], execution: Execution, rules: Rules, chunk: Chunk) -> ChunkResult:
    """Play a chunk in the process that this is, with targets that are started once and kept."""
    key = repr((names, execution, rules))
    with _LOCK:
        if key not in _PLAYERS:
            targets = selection.choose_targets(names, execution.processes)
            _PLAYERS[key] = ChunkPlayer(targets, rules.book(targets), execution.jobs)
        return played_chunk(_PLAYERS[key], chunk)
