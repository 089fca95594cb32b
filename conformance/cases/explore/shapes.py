"""Shapes of exploration, by themes: each kind of rare shape gets a fair share of the examples.

Sizes are listed in ascending order, so that a failure shrinks to the smallest shape that shows it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache

import numpy as np

from lossproof.cases.picker import Picker
from lossproof.cases.signatures import CUBE, WIDE, WORKED, Shape
from lossproof.core.formats import Format

# What a compiler has seen in the deck, and few others: targets that compile each shape get these alone.
FIXED: tuple[Shape, ...] = ((1, 2), (2, 1), WORKED, (3, 5), (2, 3, 4), CUBE, WIDE)
_SMALL, _EMPTY = FIXED[:6], ((0, 2), (0, 1), (0, 4), (2, 0, 3), (0, 3, 2))
_EDGES = tuple(2**e + d for e in range(5, 11) for d in (-1, 0, 1))
# Odd widths that no warp divides, around the powers of two more often than chance has them.
_WIDTHS = tuple(sorted((*_EDGES * 12, *range(513, 1024, 8), *range(35, 1101, 17))))
# Labels, class counts and row counts past the integer and finite range of 8, 16-bit and float16 arithmetic.
_CLASSES = (2050, 4097, 33_000, 40_000)
_NARROW_CLASSES = (2050, 33_000, 65_521, 65_537, 70_000)
_ROWS = (65, 257, 1025, 2049, 4097)
_MANY_ROWS, _NARROW_ROWS = (5000, 9001), (65_537, 70_000)
# Of 20 examples each. Losses have options and labels, the others have nothing but rows and classes.
_SHARES = {
    False: {"small": 4, "ranked": 5, "empty": 1, "wide": 6, "long": 1, "tall": 2, "many": 1},
    True: {"small": 4, "ranked": 5, "empty": 1, "wide": 5, "long": 1, "tall": 2, "many": 2},
}
_THEMES = {losses: tuple(t for t, n in shares.items() for _ in range(n)) for losses, shares in _SHARES.items()}
_MOST_RANKED = 120


@dataclass(frozen=True)
class DrawnShape:
    """A drawn shape has a class axis, and the theme that it came from."""

    theme: str
    shape: Shape
    axis: int

    @property
    def k(self) -> int:
        """The number of classes."""
        return self.shape[self.axis]

    @property
    def rest(self) -> Shape:
        """The shape without the class axis."""
        at = self.axis % len(self.shape)
        return self.shape[:at] + self.shape[at + 1 :]

    @property
    def n(self) -> int:
        """The number of rows."""
        return int(np.prod(self.rest))

    @property
    def large(self) -> bool:
        """Say whether the example is about size: there options matter less, and hypothesis draws no single entries."""
        return self.theme in ("tall", "many")


def place(pick: Picker, fmt: Format, *, losses: bool, free: bool) -> DrawnShape:
    """Draw a shape and a class axis; of the ``FIXED`` ones unless they are ``free``."""
    theme = pick.choice(_THEMES[losses] if free else ("fixed",))
    extent = pick.choice((1, 2, 3, 4, 5))
    shape = pick.choice(_shapes(theme, extent, fmt))
    r = len(shape)
    axes = [-1, *range(r - 1), *(range(-r, -1) if theme == "ranked" else ())]
    axis = pick.choice(tuple(a for a in axes if shape[a]))
    if theme in ("wide", "long", "tall", "many") and axis == 0:
        # The sizes are those of rows and classes, wherever the class axis is.
        shape = shape[::-1]
    return DrawnShape(theme, shape, axis)


def _shapes(theme: str, extent: int, fmt: Format) -> tuple[Shape, ...]:
    """All shapes of a theme; ``extent`` is the rank, or the size of the axis that the theme is not about."""
    if theme == "wide":
        return tuple((extent, k) for k in _WIDTHS)
    if theme == "tall":
        return tuple((min(extent, 2), k) for k in (_NARROW_CLASSES if fmt.is_narrow else _CLASSES))
    if theme == "long":
        return tuple((n, extent) for n in _ROWS)
    if theme == "many":
        return tuple((n, 2) for n in (_NARROW_ROWS if fmt.is_narrow else _MANY_ROWS))
    return {"small": _SMALL, "empty": _EMPTY, "fixed": FIXED}.get(theme) or _ranked(extent)


@cache
def _ranked(rank: int) -> tuple[Shape, ...]:
    """All shapes of a rank with extents up to 5 and not too many entries, the smallest first."""
    found = itertools.product(range(1, 6), repeat=rank)
    return tuple(sorted((s for s in found if np.prod(s) <= _MOST_RANKED), key=lambda s: (np.prod(s), s)))
