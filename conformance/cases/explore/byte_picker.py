"""A picker for hypothesis reads choices off a tape of bytes, from its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_T = TypeVar("_T")


class TapePicker:
    """A tape picker reads choices off a tape, last byte first: the tape as a number, plus 1, moves the first choice.

    Past the other end all bits are 0, and zeros give the first option of every choice.
    """

    def __init__(self, tape: bytes) -> None:
        self._tape = tape[::-1]
        self._at = 0

    def integer(self, lo: int, hi: int) -> int:
        """Read an integer in ``[lo, hi]``."""
        return lo + (int(self.bits(32, (1,))[0]) * (hi - lo + 1) >> 32)

    def choice(self, options: Sequence[_T]) -> _T:
        """Read one of the options."""
        return options[self.integer(0, len(options) - 1)]

    def bits(self, n: int, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """Read ``n``-bit unsigned integers, n at most 32."""
        width = 1 if n <= 8 else 2 if n <= 16 else 4
        size = int(np.prod(shape)) * width
        taken = self._tape[self._at : self._at + size].ljust(size, b"\0")
        self._at += size
        raw = np.frombuffer(taken, dtype=f"<u{width}")
        return (raw.astype(np.int64) & ((1 << n) - 1)).reshape(shape)
