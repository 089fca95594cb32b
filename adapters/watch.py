"""A watch on the tensors that an adapter makes of a problem: which of them a call has written into.

The engine compares the arrays that it hands over. A framework computes on tensors of its own, which an operation may
overwrite without anything reaching those arrays; so what places tensors says that it has, and the memory in which they
lie is compared after a watched call, gaps between their entries included.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator, List, Optional, Tuple

from .given import Given
from .outputs import ARRAYS

# A tensor's memory as bytes.
Memory = Callable[[Any], bytes]


@dataclass
class Watch:
    """The tensors that were placed during a call: name, tensor, how its memory is read, and what it held."""

    placed: List[Tuple[str, Any, Memory, bytes]] = field(default_factory=list)

    def modified(self) -> Tuple[str, ...]:
        """Name the tensors whose memory is no longer what it was."""
        return tuple(name for name, tensor, memory, before in self.placed if memory(tensor) != before)


# Targets in one process are asked by a thread each.
_watch: ContextVar[Optional[Watch]] = ContextVar("lossproof_watch", default=None)


@contextmanager
def watching(wanted: bool) -> Iterator[Watch]:
    """Watch what is placed during the block, if that is wanted."""
    watch = Watch()
    token = _watch.set(watch if wanted else None)
    try:
        yield watch
    finally:
        _watch.reset(token)


def seen(g: Given, memory: Memory) -> Given:
    """Return tensors that were just placed, after a look at their memory if the call is watched."""
    watch = _watch.get()
    if watch is not None:
        named = ((name, getattr(g, name)) for name in ARRAYS)
        watch.placed += [(name, t, memory, memory(t)) for name, t in named if t is not None]
    return g
