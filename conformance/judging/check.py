"""A check is a case of several calls, or of answers that are no numbers: a call with a judge of its own.

A check is its first call, with companions. So the loop treats it as a call, it has an id of the same form
(``op/dtype/relation/NAME-details/digest``), and record, tables, waivers, pytest and ``check_implementation`` see
ordinary observations. See ``cases.relations`` and
``cases.error_cases`` for the two kinds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from lossproof.adapters.protocol import Outcome, Problem
from lossproof.core.call import Call, detail
from lossproof.core.case_id import CaseId
from lossproof.core.observation import Observation
from lossproof.core.operations import solved_by
from lossproof.judging.messages import unusable_answer
from lossproof.targets.target import Target
from lossproof.truth.truth import Truth, truth


class Exact:
    """Truths of single problems, each computed when a judge first asks for it and shared by all targets."""

    def __init__(self) -> None:
        self._known: dict[tuple[Problem, str], Truth] = {}

    def __call__(self, p: Problem, mean: str = "mean") -> Truth:
        """Return the truth of a problem for targets whose reduction ``mean`` is that one.

        A problem is equal to itself alone, so an equal one is computed again.
        """
        solved = solved_by(p, mean)
        key = (p, solved.reduction)
        if key not in self._known:
            self._known[key] = truth([solved])
        return self._known[key]


@dataclass(frozen=True)
class Hearing:
    """A hearing is what the judge of a check sees: a target's outcomes in the order of the calls, follow-ups last."""

    check: Check
    target: Target
    calls: tuple[Call, ...]
    outcomes: tuple[Outcome, ...]
    exact: Exact

    @property
    def modified(self) -> tuple[str, ...]:
        """The inputs that changed during the first call of a watched check."""
        return self.outcomes[0].modified

    def truth(self, p: Problem) -> Truth:
        """Return the truth of a problem as the target solves it."""
        return self.exact(p, self.target.capabilities.mean)

    def blank(self, output: str) -> Observation:
        """Return the observation of one output, to be filled in."""
        p = self.check.problem
        return Observation.of(
            self.check,
            output,
            self.target.name,
            profile=self.target.declared(p.op, p.result_dtype).profile,
            seconds=sum(o.seconds for o in self.outcomes),
            note="; ".join(o.note for o in self.outcomes if o.note),
        )


Judge = Callable[[Hearing], list[Observation]]
# Calls that depend on the outcomes of the first ones: an implementation's own outputs as the next inputs.
Follow = Callable[[Sequence[Outcome]], Sequence[Call]]


@dataclass(frozen=True)
class Check(Call):
    """A check is several calls with a judge: ``problem`` is the first one's, ``others`` are its companions in order.

    ``outputs`` are those judged, one observation each; ``isolate`` marks calls that may crash a process; ``watched``
    checks compare the inputs before and after; ``alone`` is the output that is asked again without the others where an
    exception has taken all of them. Companions of another shape put a check into the tier ``free``.
    """

    name: str = ""
    others: tuple[Call, ...] = ()
    outputs: tuple[str, ...] = ("value",)
    judge: Judge = field(default=lambda hearing: [], repr=False)
    follow: Follow | None = field(default=None, repr=False)
    isolate: bool = False
    watched: bool = False
    alone: str = "value"

    @property
    def is_check(self) -> bool:
        """True: a check has a judge of its own."""
        return True

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls that are played first; those that follow from their answers come later."""
        return (Call(self.source, self.family, self.provenance), *self.others)

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits of the name and of all calls."""
        return hashlib.sha256("/".join([self.name, *(c.digest for c in self.calls)]).encode()).hexdigest()[:8]

    @cached_property
    def case(self) -> CaseId:
        """The check's id in its parts: its name stands before the details of the first call."""
        p = self.outline
        return CaseId(p.op, p.dtype, self.family, f"{self.name}-{detail(p)}", self.digest)


@np.errstate(all="ignore")
def play(check: Check, target: Target, exact: Exact) -> Hearing:
    """Put a check's calls to a target, and those that follow from its answers."""
    calls = check.calls
    outcomes = list(
        target.play([c.problem for c in calls], isolate=check.isolate, watch=check.watched, alone=check.alone)
    )
    hearing = Hearing(check, target, calls, tuple(outcomes), exact)
    if check.follow is None or first_unusable(hearing, "value") is not None:
        return hearing
    more = tuple(check.follow(outcomes))
    outcomes += target.play([c.problem for c in more], isolate=check.isolate, alone=check.alone)
    return replace(hearing, calls=calls + more, outcomes=tuple(outcomes))


def first_unusable(hearing: Hearing, output: str) -> Observation | None:
    """Return the observation of the first call without such an output in its shape and dtype; None if all have it."""
    for call, outcome in zip(hearing.calls, hearing.outcomes, strict=True):
        name = output if output in call.problem.want else "value"
        offered = name in hearing.target.capabilities.outputs
        found = unusable_answer(replace(hearing.blank(output), output=name), call, outcome, offered=offered)
        if found is not None:
            text = f"{hearing.check.name}: {found.message}" if found.verdict != "unsupported" else found.message
            told = None if found.call is None else hearing.check
            return replace(found, output=output, message=text, call=told)
    return None
