"""A target that keeps its answers: observations hold the worst entry only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lossproof.adapters.protocol import Outcome, Problem
from lossproof.targets.target import Target


@dataclass(frozen=True)
class Listening(Target):
    """A target whose answers are kept in ``heard``, in the order of play."""

    heard: list[Outcome] = field(default_factory=list)

    def play(self, problems: Sequence[Problem], *, isolate: bool = False, watch: bool = False) -> Iterator[Outcome]:
        """Play, and keep what is said."""
        for outcome in super().play(problems, isolate=isolate, watch=watch):
            self.heard.append(outcome)
            yield outcome


def listen(target: Target) -> Listening:
    """The same target, listened to."""
    return Listening(target.adapter, target.mode, target.device, target.environment, target.place)
