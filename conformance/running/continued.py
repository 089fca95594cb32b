"""A continued source goes on where another one ends: the same targets are asked for more."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lossproof.core.observation import Observation
from lossproof.records.waivers import Book
from lossproof.running.session import Source
from lossproof.running.timing import Clock
from lossproof.targets.target import Target


@dataclass(frozen=True)
class Continued:
    """A source: the observations of the ``first`` one, its conclusions too, and then ``more``, unless a target is lost.
    All else is that of the first one."""

    first: Source
    more: Callable[[], Iterable[Observation]]

    @property
    def targets(self) -> Sequence[Target]:
        """The targets that run."""
        return self.first.targets

    @property
    def clock(self) -> Clock:
        """The clock of both."""
        return self.first.clock

    @property
    def seconds(self) -> float:
        """The seconds that it took, so far."""
        return self.first.seconds

    @property
    def lost(self) -> Mapping[str, str]:
        """Why targets were asked no more, by their names."""
        return self.first.lost

    def observations(self) -> Generator[Observation]:
        """Every observation of the one, then of the other."""
        yield from self.first.observations()
        if not self.lost:
            yield from self.more()

    def book_in_force(self, book: Book) -> Book:
        """The book of the first one."""
        return self.first.book_in_force(book)

    def close(self) -> None:
        """End the targets."""
        self.first.close()
