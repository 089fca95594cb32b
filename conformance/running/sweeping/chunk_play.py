"""The play of one chunk of a sweep: its calls are put to targets and judged as those of a deck are, and what fails is
looked for in the smallest rows that still show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from lossproof.cases.sweeps.chunks import KINDS, Chunk
from lossproof.core.call import Call
from lossproof.core.observation import Observation
from lossproof.records.waivers import Book
from lossproof.running.loop import played
from lossproof.running.sweeping.climb import climbed
from lossproof.running.sweeping.smallest_rows import smallest_failures
from lossproof.running.timing import Clock
from lossproof.targets.target import Target


@dataclass
class ChunkPlayer:
    """A player of chunks, with targets that run. The ``book`` knows deviations; its counts mean nothing.

    What a chunk yields depends on the chunk and the targets alone, whatever was played before.
    """

    targets: Sequence[Target]
    book: Book
    jobs: int = 0
    clock: Clock = field(default_factory=Clock)
    lost: dict[str, str] = field(default_factory=dict)

    def play(self, chunk: Chunk) -> list[Observation]:
        """Observe a chunk: what every target says of its calls, and then of the smallest rows in which it fails.

        Calls of bins are made again from their ids, and are no part of observations.
        """
        with self.clock.phase("deck"):
            calls = {call.id: call for call in chunk.calls()}
        generations = KINDS[chunk.kind].generations
        found: list[Observation] = []
        if generations:
            first = tuple(calls.values())
            for target in self.targets:
                several, every = climbed(target, chunk, first, generations, self.clock, self.lost)
                found += several
                calls |= every
            return [*found, *self._smallest(calls, found)]
        for _, several in played(self.targets, calls.values(), self.clock, jobs=self.jobs, lost=self.lost):
            found += several
        return [*(o if o.call is None else replace(o, call=None) for o in found), *self._smallest(calls, found)]

    def _smallest(self, calls: Mapping[str, Call], found: Sequence[Observation]) -> list[Observation]:
        smallest: list[Observation] = []
        for target in self.targets:
            mine = [o for o in found if o.target == target.name]
            smallest += smallest_failures(target, calls, mine, partial(self.book.mark, explored=True))
        return smallest
