"""Recipes draw a large problem whenever it is asked for, so that a deck does not hold all of its arrays at once."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import numpy as np

from lossproof.adapters.protocol import ARRAYS, Problem

# Bytes of problems that are kept for those who ask next: the targets of a run ask one after another.
_KEPT = 1 << 24
_arrays = attrgetter(*ARRAYS)


@dataclass(frozen=True, eq=False)
class Recipe:
    """A recipe of a problem, equal to itself alone.

    ``draw``     draws the problem, the same each time
    ``outline``  a problem of the same shapes, dtypes and options, whose numbers take no memory and mean nothing
    ``content``  the sha256 of the exact content of what is drawn, in hexadecimal digits
    """

    draw: Callable[[], Problem]
    outline: Problem
    content: str

    @property
    def problem(self) -> Problem:
        """The problem: drawn, or what was drawn a short while ago."""
        return _SHELF.problem(self)


class _Shelf:
    """A shelf of the problems that were drawn last, and of those that somebody still holds."""

    def __init__(self, size: int) -> None:
        self._size, self._free = size, size
        self._problems: OrderedDict[Recipe, Problem] = OrderedDict()
        # Problems compare by arrays, and cannot be keys; as values they need not be compared.
        self._held: weakref.WeakValueDictionary[Recipe, Problem] = weakref.WeakValueDictionary()
        self._lock = threading.Lock()

    def problem(self, recipe: Recipe) -> Problem:
        """What is on the shelf, or else what is drawn now."""
        with self._lock:
            found = self._problems.get(recipe)
            if found is not None:
                self._problems.move_to_end(recipe)
            else:
                found = self._held.get(recipe)
        if found is not None:
            return found
        # Threads that draw the same at once get equal problems.
        drawn = recipe.draw()
        with self._lock:
            if recipe not in self._problems:
                self._problems[recipe] = self._held[recipe] = drawn
                self._free -= size(drawn)
            while self._free < 0:
                _, old = self._problems.popitem(last=False)
                self._free += size(old)
        return drawn


_SHELF = _Shelf(_KEPT)


def size(p: Problem) -> int:
    """The bytes of a problem's arrays."""
    return sum(a.nbytes for a in _arrays(p) if a is not None)


def outline_of(p: Problem) -> Problem:
    """A problem of the same shapes, dtypes and options, with one number in each array."""
    arrays = dict(zip(ARRAYS, _arrays(p), strict=True))
    hollow: dict[str, Any] = {
        k: np.broadcast_to(np.zeros((), a.dtype), a.shape) for k, a in arrays.items() if a is not None
    }
    return replace(p, **hollow)
