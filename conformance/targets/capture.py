"""A listening target keeps its answers: observations hold the worst entry only, and ``explain`` prints them all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lossproof.adapters.protocol import Outcome, Problem
from lossproof.targets.target import Target


@dataclass(frozen=True)
class Listening(Target):
    """A listening target keeps its answers in ``heard``, in the order of play."""

    heard: list[Outcome] = field(default_factory=list)

    def play(
        self, problems: Sequence[Problem], *, isolate: bool = False, watch: bool = False, alone: str = ""
    ) -> Iterator[Outcome]:
        """Put problems to the adapter and keep the outcomes."""
        for outcome in super().play(problems, isolate=isolate, watch=watch, alone=alone):
            self.heard.append(outcome)
            yield outcome


def listen(target: Target) -> Listening:
    """Make a listening target of a target."""
    t = target
    return Listening(t.adapter, t.mode, t.device, t.environment, t.place, t.variables)
