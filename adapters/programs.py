"""The store of compiled programs, by what a compiler sees of a problem, and the count of what compiling them costs."""

from __future__ import annotations

import time
from collections import OrderedDict
from contextlib import contextmanager
from typing import Any, Callable, Hashable, Iterator

from .protocol import Meter, Problem


def seen_by_compiler(p: Problem) -> Hashable:
    """Return what is static in a problem: op, shapes, types, options but their values, and the outputs.
    The values of ``label_smoothing`` and ``ignore_index`` are left out.
    """
    arrays = (p.x, p.target, p.weight, p.cotangent, p.tangent, p.target_tangent)
    shapes = tuple(None if a is None else (a.shape, a.dtype.str) for a in arrays)
    options = (
        p.axis,
        p.reduction,
        bool(p.label_smoothing),
        p.ignore_index is None,
        p.wrt_target,
        p.repeat_backward,
        p.omit,
        p.scale,
        p.only,
    )
    return (p.op, p.dtype, p.out_dtype, p.layout, p.laid, shapes, options)


class Programs:
    """The programs that were asked for last, at most ``keep`` of them; ``made`` counts all."""

    def __init__(self, keep: int = 256) -> None:
        self._known: OrderedDict[Hashable, Any] = OrderedDict()
        self._keep = keep
        self.made = 0

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return the program of a key, made if it is not there."""
        if key not in self._known:
            self._known[key] = make()
            self.made += 1
            if len(self._known) > self._keep:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]


@contextmanager
def metered(meter: Meter, count: Callable[[], int]) -> Iterator[None]:
    """Charge the time of a block to the programs that were compiled in it, if ``count`` says that there were any.

    Compilers work when a program is first called, so its first result is in the price.
    """
    before, start = count(), time.perf_counter()
    try:
        yield
    finally:
        new = count() - before
        if new:
            meter.programs += new
            meter.seconds += time.perf_counter() - start
