"""What a relation is: a plan of calls and a comparison, registered under a name with its sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lossproof.adapters.protocol import OPS, Problem
from lossproof.checks import Follow, Judge
from lossproof.compare import Compare, relation_judge
from lossproof.picker import Picker


@dataclass(frozen=True)
class Plan:
    """The problems of one instance, and their judge (or the sides that an ordinary judge compares)."""

    problems: tuple[Problem, ...]
    compare: Compare | None = None
    outputs: tuple[str, ...] = ("value", "vjp")
    follow: Follow | None = None
    judge: Judge | None = None

    def judged(self) -> Judge:
        """The judge."""
        if self.judge is not None:
            return self.judge
        # sanity check: a plan has either
        assert self.compare is not None
        return relation_judge(self.compare)


Make = Callable[[Problem, Picker, str], Plan | None]


@dataclass(frozen=True)
class Relation:
    """A relation: ``plan(problem, pick, variant)`` gives None where it does not apply. ``variants`` are instances,
    of which each op and dtype gets one in ``every``."""

    name: str
    says: str
    plan: Make
    ops: tuple[str, ...] = OPS
    variants: tuple[str, ...] = ("",)
    reshapes: bool = False
    watched: bool = False
    every: int = 1


RELATIONS: dict[str, Relation] = {}


def relation(
    name: str,
    says: str,
    *,
    ops: tuple[str, ...] = OPS,
    variants: tuple[str, ...] = ("",),
    reshapes: bool = False,
    watched: bool = False,
    every: int = 1,
) -> Callable[[Make], Make]:
    """Register a plan."""

    def register(plan: Make) -> Make:
        RELATIONS[name] = Relation(name, says, plan, ops, variants, reshapes, watched, every)
        return plan

    return register
