"""A guarded sink may fail and costs nothing but itself: the session goes on to its verdict.

What is written of a run, a full disk or a mistake in a page among the reasons why not, says nothing of the
implementations that it judges.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.running.session import Ended, Sink


@dataclass
class Guarded:
    """A sink that passes everything on to another one until that raises an exception, which ``failed`` is told.

    The sink hears of nothing more then.
    """

    sink: Sink
    failed: Callable[[Exception], None]
    _lost: bool = field(default=False, init=False)

    def add(self, o: Observation) -> None:
        """Pass one observation on."""
        self._guard(lambda: self.sink.add(o))

    def close(self, run: Ended) -> None:
        """Pass the end on."""
        self._guard(lambda: self.sink.close(run))

    def _guard(self, step: Callable[[], None]) -> None:
        if self._lost:
            return
        try:
            step()
        except Exception as error:  # whatever is wrong with a view, the verdict is not
            self._lost = True
            self.failed(error)


def why(error: Exception) -> str:
    """Say in one line why something failed."""
    text = " ".join(str(error).split())
    if isinstance(error, UsageError):
        return text
    if isinstance(error, OSError):
        return error.strerror or text or type(error).__name__
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
