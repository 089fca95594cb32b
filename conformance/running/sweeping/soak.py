"""A soak asks for hours what no run has asked before: decks of fresh seeds, searches and chunks of sweeps, by turns."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field

from lossproof import __version__
from lossproof.adapters.protocol import DTYPES, OPS
from lossproof.cases.catalogue import select
from lossproof.cases.deck_part import DRAWN
from lossproof.cases.picker import SeededPicker
from lossproof.cases.sweeps.chunks import KINDS, Chunk
from lossproof.cases.sweeps.random_rows import SEARCH
from lossproof.core.observation import Observation
from lossproof.records.waivers import Book, fails
from lossproof.running.loop import played
from lossproof.running.session import Session
from lossproof.running.session_options import Execution, Rules
from lossproof.running.sweeping.chunk_play import ChunkPlayer
from lossproof.running.sweeping.sweep_session import chunks_header, session_over
from lossproof.running.timing import Clock
from lossproof.targets import selection
from lossproof.targets.target import Target


@dataclass(frozen=True)
class Turn:
    """A turn of a soak: a ``chunk``, or else the drawn calls of the deck of a ``seed`` for an op in a dtype."""

    op: str
    dtype: str
    seed: int = 0
    chunk: Chunk | None = None


def turns(seed: int) -> Iterator[Turn]:
    """Yield the turns of a soak without end: of each op in each dtype the drawn calls of the deck of the next seed, a
    search, and some chunk of a sweep."""
    sweeps = [kind for kind in KINDS.values() if kind is not SEARCH]
    for number in itertools.count():
        pick = SeededPicker(f"soak/{seed}/{number}")
        for op, dtype in itertools.product(OPS, DTYPES):
            yield Turn(op, dtype, seed + number)
            yield Turn(op, dtype, chunk=Chunk(SEARCH.name, op, dtype, pick.integer(0, SEARCH.chunks(dtype) - 1)))
            kind = pick.choice([kind for kind in sweeps if dtype in kind.dtypes])
            yield Turn(op, dtype, chunk=Chunk(kind.name, op, dtype, pick.integer(0, kind.chunks(dtype) - 1)))


@dataclass
class Soaked:
    """A source of observations: the ``turns``, of which none is begun after so many ``budget`` seconds, nor, with
    ``until_found``, after one in which something failed."""

    targets: Sequence[Target]
    turns: Iterator[Turn]
    player: ChunkPlayer
    budget: float
    until_found: bool = False
    clock: Clock = field(default_factory=Clock)
    lost: dict[str, str] = field(default_factory=dict)
    done: int = 0
    _start: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """The seconds that it took, so far."""
        return time.perf_counter() - self._start

    def observations(self) -> Generator[Observation]:
        """Every observation, turn by turn."""
        try:
            for turn in self.turns:
                if self.seconds >= self.budget or len(self.lost) == len(self.targets):
                    return
                several = self._deck(turn) if turn.chunk is None else self.player.play(turn.chunk)
                self.done += 1
                yield from several
                if self.until_found and any(fails(self.player.book.mark(o, explored=True)) for o in several):
                    return
        finally:
            self.clock.close(self.targets)

    def _deck(self, turn: Turn) -> list[Observation]:
        with self.clock.phase("deck"):
            calls = select("default", turn.seed, (turn.op,), (turn.dtype,), DRAWN)
        several = played(self.targets, calls, self.clock, jobs=self.player.jobs, lost=self.lost)
        return [o for _, some in several for o in some]

    def book_in_force(self, book: Book) -> Book:
        """The session's book."""
        return book

    def close(self) -> None:
        """End the processes of the targets."""
        selection.close(self.targets)


def opened_soak(
    names: Sequence[str],
    *,
    hours: float,
    seed: int,
    until_found: bool = False,
    execution: Execution | None = None,
    rules: Rules | None = None,
    tell: Callable[[str], None] = lambda stage: None,
) -> Session:
    """The session of a soak of some targets (every installed one if there are no names).

    Close it when it is over. ``tell`` hears what is being done. Raises :class:`UsageError` for names that mean nothing.
    """
    execution, rules = execution or Execution(), rules or Rules()
    selection.target_names(names)
    tell(f"lossproof {__version__}: starting {', '.join(names) or 'every installed target'}")
    targets = selection.choose_targets(names, execution.processes)
    try:
        tell(f"seeds from {seed}, {hours:g} hours, for {', '.join(t.name for t in targets)}")
        book, header = rules.book(targets), chunks_header(targets, "soak", f"soak/{seed}", seed=seed)
        clock, lost = Clock(), dict[str, str]()
        player = ChunkPlayer(targets, rules.book(targets), execution.jobs, clock, lost)
    except BaseException:
        selection.close(targets)
        raise
    source = Soaked(targets, turns(seed), player, hours * 3600, until_found, clock, lost)
    return session_over(source, targets, book, header, strict=rules.strict)
