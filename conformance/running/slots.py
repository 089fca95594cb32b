"""Slots are shared by the targets of a run: who is furthest behind in the deck is served first.

The judge goes through the deck group by group, and takes a group's answers from every target. A target that runs ahead
of the others holds up the verdicts that their answers allow, and a run that is killed then has recorded none of them.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Slots:
    """So many turns at once; others wait. Among those that wait the smallest place comes first, and of equal ones who
    has waited longest."""

    def __init__(self, several: int) -> None:
        self._free = several
        self._waiting: list[tuple[int, int]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()

    @property
    def waiting(self) -> int:
        """The number of those who wait."""
        return len(self._waiting)

    @contextmanager
    def turn(self, place: int, is_over: Callable[[], bool]) -> Iterator[bool]:
        """Wait for a turn at a ``place`` of the deck, and hold it; False, at once, where everything ``is_over``.

        What makes it over has to :meth:`wake` those who wait.
        """
        mine = (place, next(self._numbers))
        with self._changed:
            heapq.heappush(self._waiting, mine)
            self._changed.wait_for(lambda: is_over() or (self._free > 0 and self._waiting[0] == mine))
            self._waiting.remove(mine)
            heapq.heapify(self._waiting)
            got = not is_over()
            self._free -= got
            # The next one may have been waiting behind this one alone.
            self._changed.notify_all()
        try:
            yield got
        finally:
            if got:
                with self._changed:
                    self._free += 1
                    self._changed.notify_all()

    def wake(self) -> None:
        """Let those who wait see whether it is over."""
        with self._changed:
            self._changed.notify_all()
