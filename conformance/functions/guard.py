"""The guard of a function in this process: what it does for too long is ended, as far as Python can end it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from lossproof.adapters.giant import GiantDriver
from lossproof.adapters.protocol import Adapter, Capabilities, Description, Problem
from lossproof.core.wrong_result import WrongResult


@dataclass(frozen=True)
class GuardedFunction:
    """An adapter, each answer of which takes at most so many ``seconds``, but for those of its ``giant`` driver."""

    adapter: Adapter
    seconds: float
    giant: GiantDriver | None = None

    @property
    def name(self) -> str:
        """The adapter's name."""
        return self.adapter.name

    def describe(self) -> Description:
        """Report what the adapter does."""
        return self.adapter.describe()

    def capabilities(self) -> Capabilities:
        """Offer what the adapter does."""
        return self.adapter.capabilities()

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        """Ask the adapter. Raises :class:`WrongResult` where it gives no answer in time."""
        with limited(self.seconds, self.name):
            return self.adapter.evaluate(problem, device, mode)

    def error_kind(self, error: Exception) -> str:
        """Classify an exception."""
        return self.adapter.error_kind(error)

    def script(self, problem: Problem, device: str, mode: str) -> str:
        """Write the adapter's program."""
        return self.adapter.script(problem, device, mode)


HANGS = "gives no answer within"
# Seconds to an alarm that would have come meanwhile.
_SOON = 1e-3


@contextmanager
def limited(seconds: float, name: str) -> Iterator[None]:
    """Raise :class:`WrongResult` in a block that takes longer, in the main thread.

    An alarm that is set already, as pytest-timeout does, goes on afterwards; one that comes sooner is left alone. It is
    raised when Python code goes on: native code that does not return needs a process of its own.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise WrongResult(f"{name} {HANGS} {seconds:g} s (timeout=); isolate=True ends native code, too")

    left, interval = (
        signal.getitimer(signal.ITIMER_REAL) if threading.current_thread() is threading.main_thread() else (0.0, -1.0)
    )
    # A handler that was not set by Python cannot be set again.
    if interval < 0 or signal.getsignal(signal.SIGALRM) is None or 0 < left <= seconds:
        yield
        return
    before, start = signal.signal(signal.SIGALRM, stop), time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - start), _SOON), interval)
