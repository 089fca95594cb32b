"""The options of the C library's allocator: what one thread of a process gives back serves the others, and large arrays
that are given back are the system's."""

from __future__ import annotations

import contextlib
import ctypes

# M_ARENA_MAX and M_MMAP_THRESHOLD of glibc's malloc.h.
_ARENA_MAX, _MMAP_THRESHOLD = -8, -3
# Bytes of an array that has pages of its own. Smaller ones are many, and pages take time to come and go.
OWN_PAGES = 1 << 22


def spare_memory() -> None:
    """Tell glibc so, before threads begin; without effect where there is another C library.

    With an arena for each target's thread a run of nine targets holds half as much memory again. And glibc keeps arrays
    of up to 32 MiB, once one of their size was freed, in the arena, whose gaps nobody else has.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_ARENA_MAX, 1)
        mallopt(_MMAP_THRESHOLD, OWN_PAGES)
