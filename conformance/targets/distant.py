"""Distant targets answer on machines of a cluster: what is said of them here is what a worker there has said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lossproof.adapters import wire
from lossproof.adapters.protocol import Outcome, Problem
from lossproof.targets import selection
from lossproof.targets.introduced import Introduced
from lossproof.targets.launch import Processes
from lossproof.targets.target import Target


@dataclass(frozen=True)
class Introduction:
    """The introduction of a target is what a worker sends of it: its parts, and what it says of itself."""

    name: str
    adapter: str
    mode: str
    device: str
    environment: str
    place: str
    variables: tuple[tuple[str, str], ...]
    hello: wire.Message

    @classmethod
    def of(cls, target: Target) -> Introduction:
        """Introduce a target that runs."""
        player = target.player
        hello = {"description": target.describe(), "capabilities": target.adapter.capabilities()}
        hello |= player.evidence() if player is not None else {}
        parts = (target.mode, target.device, target.environment, target.place, target.variables)
        return cls(target.name, target.adapter.name, *parts, hello)

    def target(self) -> Target:
        """Make the target as it is known here; nothing is started."""
        adapter = Distant(self.name, self.adapter, self.hello)
        return Target(adapter, self.mode, self.device, self.environment, self.place, self.variables)


class Distant(Introduced):
    """A player of a distant target, which is asked for nothing here but programs."""

    start_seconds: float | None = None
    restarts = 0

    def __init__(self, target: str, name: str, hello: wire.Message) -> None:
        self.name = name
        self.hello = hello
        self._target = target

    def script(self, problem: Problem) -> str:
        """Return the program of the same target, started here for it. Raises :class:`UsageError` where it does not
        start."""
        started = selection.choose_targets([self._target], Processes(1))
        try:
            return started[0].script(problem)
        finally:
            selection.close(started)

    def outcomes(self, problems: Sequence[Problem], **how: Any) -> Iterator[Outcome]:
        """Raise RuntimeError: its workers are asked."""
        raise RuntimeError(f"{self._target} is asked where it is")

    def processor_seconds(self) -> float | None:
        """Return nothing: what its processes take is counted where they are."""
        return None

    def interrupt(self) -> None:
        """Do nothing: nothing is under way here."""

    def close(self) -> None:
        """Do nothing: nothing runs here."""


def introduced(names: Sequence[str], processes: Processes | None) -> tuple[Introduction, ...]:
    """Start targets in this process's machine, let them introduce themselves, and end them. Raises :class:`UsageError`
    for one that does not start."""
    started = selection.choose_targets(names, processes)
    try:
        return tuple(Introduction.of(target) for target in started)
    finally:
        selection.close(started)
