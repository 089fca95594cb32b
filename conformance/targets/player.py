"""Players: adapters that are elsewhere, in a process of their own or in a file, and answer problems themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from lossproof.adapters.protocol import Capabilities, Description, Outcome, Problem


@runtime_checkable
class Player(Protocol):
    """A player is an adapter that is elsewhere and answers problems itself: in its own process, or in a file."""

    @property
    def name(self) -> str:
        """The first part of a target string."""
        ...

    def describe(self) -> Description:
        """Return versions and build facts of the framework."""
        ...

    def capabilities(self) -> Capabilities:
        """Return the ops, dtypes, devices and modes on offer."""
        ...

    def evidence(self) -> dict[str, Any]:
        """Return what else the results depend on: the interpreter, threads."""
        ...

    def script(self, problem: Problem) -> str:
        """Return a program of the framework alone that evaluates the problem."""
        ...

    def outcomes(
        self, problems: Sequence[Problem], *, isolate: bool, watch: bool, alone: str = ""
    ) -> Iterator[Outcome]:
        """Yield one outcome for each problem, in order."""
        ...

    @property
    def start_seconds(self) -> float | None:
        """The seconds until its processes were ready; None where it has none."""
        ...

    def processor_seconds(self) -> float | None:
        """Return the processor seconds that its processes have taken; None where it has none or nothing says so."""
        ...

    @property
    def restarts(self) -> int:
        """The number of processes that had to be started again."""
        ...

    def interrupt(self) -> None:
        """End, from another thread, the calls that are under way."""
        ...

    def close(self) -> None:
        """End its processes and close its files."""
        ...


@runtime_checkable
class TimedPlayer(Protocol):
    """A timed player also tells how long kernels take where it is."""

    def kernel_times(self, op: str, dtype: str, shape: tuple[int, int]) -> dict[str, float]:
        """Return seconds by name, as :func:`lossproof.adapters.kernel_times.kernel_times` does."""
        ...


@runtime_checkable
class LastPlayer(Protocol):
    """A last player also hears when all that comes is isolated: what that corrupts is nobody else's then."""

    def isolate_from_here(self) -> None:
        """Play what comes in the process that has played the others."""
        ...
