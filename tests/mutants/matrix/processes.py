"""Work that is shared by forked processes, and the guard against those that hang."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from lossproof.targets.launch import cores

J = TypeVar("J")
T = TypeVar("T")
S = TypeVar("S", covariant=True)
# What a forked worker inherits: judges of checks are closures, which no queue carries.
_work: list[Callable[[], Any]] = []


def in_processes(do: Callable[[J], T], jobs: Sequence[J], cost: Callable[[J], float], processes: int = 0) -> list[T]:
    """What each job gives, in their order; 0 processes: one for each core. Raises :class:`TimeoutError` if they
    hang."""
    processes = processes or cores()
    if processes == 1 or "fork" not in multiprocessing.get_all_start_methods():
        return [do(job) for job in jobs]
    _work[:] = [lambda job=job: do(job) for job in jobs]  # type: ignore[misc]
    # The dearest first: the last ones to come should be short.
    order = sorted(range(len(jobs)), key=lambda i: cost(jobs[i]), reverse=True)
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        found = dict(watched(pool.imap_unordered(_done, order), _spent))
    return [found[i] for i in range(len(jobs))]


def _done(i: int) -> tuple[int, Any]:
    return i, _work[i]()


class Results(Protocol[S]):
    """Results that come one by one, such as those of a pool."""

    def next(self, timeout: float) -> S:
        """Return the next one; TimeoutError of multiprocessing if there is none yet, StopIteration at the end."""
        ...


def watched(
    parts: Results[T], spent: Callable[[], float], *, idle: float = 900.0, busy: float = 3600.0, tick: float = 5.0
) -> Iterator[T]:
    """What processes give, unless they hang. Raises :class:`TimeoutError` then.

    Whether they do is not a matter of the clock alone, which neighbours on a machine slow down: between two results
    they have spent ``busy`` seconds of processor time, or none for ``idle`` seconds.
    """
    start = moved = spent()
    last = time.monotonic()
    while True:
        try:
            part = parts.next(tick)
        except StopIteration:
            return
        except multiprocessing.TimeoutError:
            now = spent()
            if now > moved:
                moved, last = now, time.monotonic()
            if now - start > busy or time.monotonic() - last > idle:
                raise TimeoutError(f"no result after {now - start:.0f} s of processor time") from None
            continue
        start = moved = spent()
        last = time.monotonic()
        yield part


def _spent() -> float:
    """Seconds of processor time of this process's children; those of the clock where the system does not say."""
    if not os.path.isdir("/proc/self"):
        return time.monotonic()
    total = 0
    for child in multiprocessing.active_children():
        try:
            fields = Path(f"/proc/{child.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")
