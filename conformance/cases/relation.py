"""A relation is a plan of calls and a comparison, under a name and with the sentence that a failure prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lossproof.adapters.protocol import OPS, Problem
from lossproof.cases.picker import Picker
from lossproof.judging.check import Follow, Judge
from lossproof.judging.relation_judge import Compare, relation_judge


@dataclass(frozen=True)
class RelationInstance:
    """An instance of a relation: its problems, and their judge (or the sides that an ordinary judge compares)."""

    problems: tuple[Problem, ...]
    compare: Compare | None = None
    outputs: tuple[str, ...] = ("value", "vjp")
    follow: Follow | None = None
    judge: Judge | None = None

    def judged(self) -> Judge:
        """Return the judge of the instance."""
        if self.judge is not None:
            return self.judge
        # sanity check: a plan has either
        assert self.compare is not None
        return relation_judge(self.compare)


MakeInstance = Callable[[Problem, Picker, str], RelationInstance | None]


@dataclass(frozen=True)
class Relation:
    """A relation: ``plan(problem, pick, variant)`` gives None where it does not apply. ``variants`` are instances,
    of which each op and dtype gets one in ``every``. ``with_parts`` says that it holds whatever is added to an op
    (docs/variants.md)."""

    name: str
    says: str
    plan: MakeInstance
    ops: tuple[str, ...] = OPS
    variants: tuple[str, ...] = ("",)
    reshapes: bool = False
    watched: bool = False
    every: int = 1
    with_parts: bool = False


def relation(
    name: str,
    says: str,
    *,
    ops: tuple[str, ...] = OPS,
    variants: tuple[str, ...] = ("",),
    reshapes: bool = False,
    watched: bool = False,
    every: int = 1,
    with_parts: bool = False,
) -> Callable[[MakeInstance], Relation]:
    """Make a relation of the decorated plan."""

    def of(plan: MakeInstance) -> Relation:
        return Relation(name, says, plan, ops, variants, reshapes, watched, every, with_parts)

    return of
