"""One arena: all threads of a process take their memory from one place, and what one gives back serves the others."""

from __future__ import annotations

import contextlib
import ctypes

# M_ARENA_MAX of glibc's malloc.h.
_ARENA_MAX = -8


def take_one_arena() -> None:
    """Tell glibc so, before threads begin; without effect where there is another C library.

    With an arena for each target's thread a run of nine targets holds half as much memory again.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)
