"""Pickers give families their choices: one is seeded and identical on every machine, one drawn by hypothesis.

Library transcendental functions and generator methods differ in bits between releases, so a picker offers only
integers made from raw generator words, and families use only exact or correctly rounded arithmetic on them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from lossproof.core.formats import F64

_T = TypeVar("_T")


class Picker(Protocol):
    """A picker is a source of choices."""

    def integer(self, lo: int, hi: int) -> int:
        """Draw an integer in ``[lo, hi]``."""
        ...

    def choice(self, options: Sequence[_T]) -> _T:
        """Draw one of the options."""
        ...

    def bits(self, n: int, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """Draw independent ``n``-bit unsigned integers, n at most 32."""
        ...


class SeededPicker:
    """A seeded picker makes choices from the raw words of Philox, keyed by a text."""

    def __init__(self, key: str) -> None:
        self._source = np.random.Philox(key=int.from_bytes(hashlib.sha256(key.encode()).digest()[:16], "little"))

    def integer(self, lo: int, hi: int) -> int:
        """Draw an integer in ``[lo, hi]``."""
        return lo + (int(self._source.random_raw()) * (hi - lo + 1) >> 64)

    def choice(self, options: Sequence[_T]) -> _T:
        """Draw one of the options."""
        return options[self.integer(0, len(options) - 1)]

    def bits(self, n: int, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """Draw independent ``n``-bit unsigned integers."""
        count = int(np.prod(shape))
        words = self._source.random_raw((count + 1) // 2)
        halves = np.stack([words >> np.uint64(32), words & np.uint64(0xFFFFFFFF)], axis=-1).reshape(-1)[:count]
        return (halves >> np.uint64(32 - n)).astype(np.int64).reshape(shape)


def fraction(pick: Picker, shape: tuple[int, ...]) -> F64:
    """Draw numbers in [0, 1) with all the bits of float64."""
    return pick.bits(32, shape) * 2.0**-32 + pick.bits(21, shape) * 2.0**-53


def full_bell(pick: Picker, shape: tuple[int, ...]) -> F64:
    """Draw bell-shaped numbers of unit scale with all the bits of float64."""
    return bell(pick, shape) + fraction(pick, shape) * (1.75 / 65536)


def bell(pick: Picker, shape: tuple[int, ...]) -> F64:
    """Draw bell-shaped numbers of unit scale: the sum of four uniform ones, exact in float64, within ±3.5."""
    total = pick.bits(16, (4, *shape)).sum(axis=0)
    return (total - 2 * 65535) * (1.75 / 65536)
