"""Pickers give families their choices: one is seeded and identical on every machine, one drawn by hypothesis.

Library transcendental functions and generator methods differ in bits between releases, so a picker offers only
integers made from raw generator words, and families use only exact or correctly rounded arithmetic on them.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from lossproof.core.formats import F64

_T = TypeVar("_T")
# Words that are made at once: enough for a small call. Philox makes blocks of four.
_AHEAD, _BLOCK = 256, 4
# Numbers whose parts are not drawn all at once.
_IN_CACHE = 1 << 12
_USED_UP = np.zeros(_BLOCK, dtype=np.uint64)


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


class _Words:
    """Raw words of Philox, under any key, from any block on: to set one going costs a tenth of making it."""

    def __init__(self) -> None:
        self._philox, self._lock = np.random.Philox(key=0), threading.Lock()

    def under(self, key: NDArray[np.uint64], block: int, several: int) -> NDArray[np.uint64]:
        """The words of several blocks under a key, from a block on."""
        counter = np.array([block, 0, 0, 0], dtype=np.uint64)
        with self._lock:
            self._philox.state = {
                "bit_generator": "Philox",
                "state": {"counter": counter, "key": key},
                "buffer": _USED_UP,
                "buffer_pos": _BLOCK,
                "has_uint32": 0,
                "uinteger": 0,
            }
            return self._philox.random_raw(_BLOCK * several)


_WORDS = _Words()


class SeededPicker:
    """A seeded picker makes choices from the raw words of Philox, keyed by a text."""

    def __init__(self, key: str) -> None:
        self._key = np.frombuffer(hashlib.sha256(key.encode()).digest()[:16], dtype="<u8").astype(np.uint64)
        # Some of the words, the place of the first of them, and the place of the next one to be given away.
        self._words, self._first, self._at = _USED_UP[:0], 0, 0

    def _take(self, count: int) -> NDArray[np.uint64]:
        """The next words; to make a few costs as much as to make many."""
        start = self._at - self._first
        if start + count > len(self._words):
            block, start = divmod(self._at, _BLOCK)
            self._first = block * _BLOCK
            self._words = _WORDS.under(self._key, block, -(-max(start + count, _AHEAD) // _BLOCK))
        self._at += count
        return self._words[start : start + count]

    def integer(self, lo: int, hi: int) -> int:
        """Draw an integer in ``[lo, hi]``."""
        return lo + (int(self._take(1)[0]) * (hi - lo + 1) >> 64)

    def choice(self, options: Sequence[_T]) -> _T:
        """Draw one of the options."""
        return options[self.integer(0, len(options) - 1)]

    def bits(self, n: int, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """Draw independent ``n``-bit unsigned integers."""
        count = math.prod(shape)
        # The upper half of a word comes first: that is the order of bytes in big-endian words.
        halves = self._take((count + 1) // 2).astype(">u8").view(">u4")[:count]
        return np.right_shift(halves, 32 - n, dtype=np.int64).reshape(shape)


def fraction(pick: Picker, shape: tuple[int, ...]) -> F64:
    """Draw numbers in [0, 1) with all the bits of float64."""
    return pick.bits(32, shape) * 2.0**-32 + pick.bits(21, shape) * 2.0**-53


def full_bell(pick: Picker, shape: tuple[int, ...]) -> F64:
    """Draw bell-shaped numbers of unit scale with all the bits of float64."""
    return bell(pick, shape) + fraction(pick, shape) * (1.75 / 65536)


def bell(pick: Picker, shape: tuple[int, ...]) -> F64:
    """Draw bell-shaped numbers of unit scale: the sum of four uniform ones, exact in float64, within ±3.5."""
    count = math.prod(shape)
    if count > _IN_CACHE and count % 2 == 0:
        # The same numbers, a part after the other.
        total = pick.bits(16, shape)
        for _ in range(3):
            total += pick.bits(16, shape)
    else:
        total = pick.bits(16, (4, *shape)).sum(axis=0)
    return np.multiply(total - 2 * 65535, 1.75 / 65536, dtype=np.float64)
