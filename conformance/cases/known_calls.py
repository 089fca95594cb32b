"""Known calls are large calls of a deck of which it is kept what they are like: no numbers are drawn to say it again.

A call's place among those that a part of a deck draws tells it from all others: the same sources draw the same calls in
the same order.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import numpy as np

from lossproof.adapters.protocol import ARRAYS, Problem
from lossproof.core.call import Call
from lossproof.core.recipe import Recipe

# Of so many known calls one is drawn all the same, and compared.
COMPARED = 100
_OF_CALL = tuple(f.name for f in fields(Call) if f.name != "source")
_OF_PROBLEM = tuple(f.name for f in fields(Problem) if f.name not in ARRAYS)


class Memory(Protocol):
    """A memory of texts by name, which only the same engine reads again."""

    def recall(self, name: str) -> str:
        """The text of a name; empty where there is none."""
        ...

    def remember(self, name: str, text: str) -> None:
        """Keep a text."""
        ...

    def count(self, calls: int) -> None:
        """Hear how many calls were known by what was recalled."""
        ...

    def distrust(self, trouble: str) -> None:
        """Hear that what was recalled is wrong."""
        ...


class WrongMemoryError(Exception):
    """A known call is not what is drawn."""


@dataclass
class KnownCalls:
    """The large calls of one part of a deck, as JSON texts by their places, of which some are checked, by ``seed``.

    ``taken`` counts those that were not drawn.
    """

    texts: dict[int, str] = field(default_factory=dict)
    seed: int = field(default_factory=lambda: secrets.randbits(64))
    is_new: bool = False
    taken: int = 0
    _place: int = 0

    @classmethod
    def read(cls, text: str) -> KnownCalls:
        """Read what :attr:`text` wrote; nothing is known of an empty one."""
        return cls({int(place): one for place, one in json.loads(text).items()} if text else {})

    @property
    def text(self) -> str:
        """All of it."""
        return json.dumps(self.texts)

    def drawn(self, make: Callable[[], Call], holds: Callable[[Call], bool]) -> Call:
        """Return the call that ``make`` makes, of a large one (which nobody ``holds``) its recipe. What is known is not
        made. Raises :class:`WrongMemoryError` where it is checked and is another one."""
        place, self._place = self._place, self._place + 1
        known = self.texts.get(place)
        is_checked = (place + self.seed) % COMPARED == 0
        if known is not None and not is_checked:
            self.taken += 1
            return call_of(known, make)
        call = make()
        text = None if holds(call) else text_of(call)
        if known is not None and known != text:
            raise WrongMemoryError(f"of call {place} it has {known}, and drawn is {text}")
        if text is None:
            return call
        self.is_new |= known is None
        self.texts[place] = text
        return call_of(text, make)


def text_of(call: Call) -> str:
    """Return the text that says what a call is like: all but its numbers, and of these a digest."""
    p = call.problem
    arrays = {name: getattr(p, name) for name in ARRAYS}
    shapes = {name: [a.dtype.str, *a.shape] for name, a in arrays.items() if a is not None}
    scalars = {name: getattr(p, name) for name in _OF_PROBLEM}
    return json.dumps(
        [{name: getattr(call, name) for name in _OF_CALL}, scalars, shapes, call.content], separators=(",", ":")
    )


def call_of(text: str, make: Callable[[], Call]) -> Call:
    """Return the call of a text, whose numbers ``make`` draws."""
    of_call, scalars, shapes, content = json.loads(text)
    scalars["only"] = None if scalars["only"] is None else tuple(scalars["only"])
    hollow: dict[str, Any] = {name: np.broadcast_to(np.zeros((), d), shape) for name, (d, *shape) in shapes.items()}
    return Call(Recipe(lambda: make().problem, Problem(**scalars, **hollow), content), **of_call)
