"""Put correct and wrong implementations, and answers written by hand, to the calls of clauses through the engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any

import numpy as np

from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import (
    DTYPES,
    LAYOUTS,
    OPS,
    OUTPUTS,
    Capabilities,
    Description,
    Outcome,
    Problem,
    Support,
    Tensor,
)
from lossproof.core.formats import FORMATS
from lossproof.core.observation import FAILING, Observation
from lossproof.running.loop import run
from lossproof.targets.plain_function import FunctionAdapter
from lossproof.targets.target import Target
from tests.mutants.kit.mutant import KnownTarget, Mutant
from tests.mutants.matrix.registry import collect

from .clause import Answer, Clause, Example

PLACES = {"": ("eager", "cpu"), "mode": ("compiled", "cpu"), "device": ("eager", "cpu:1")}


def control(op: str) -> Mutant:
    """The plain correct implementation of an op."""
    return collect()[f"control {op}: np"]


@cache
def _adapter(mutant: str) -> FunctionAdapter:
    return collect()[mutant].adapter()


@dataclass(frozen=True)
class Implementation:
    """All four ops: the mutant's own, and correct ones. In another place than ``across`` its op is correct, too."""

    mutant: Mutant
    across: str = ""
    declares: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The mutant's id."""
        return self.mutant.id

    def describe(self) -> Description:
        """No version."""
        return Description({})

    def capabilities(self) -> Capabilities:
        """Everything, as far as the mutant goes."""
        return self._capabilities

    @cached_property
    def _capabilities(self) -> Capabilities:
        m = self.mutant
        profiles = {(op, d): p for op in OPS for d, p in control(op).profiles.items()}
        profiles |= {(m.op, d): p for d, p in m.profiles.items()}
        ops = {op: Support("native", m.targets if op == m.op else control(op).targets) for op in OPS}
        found = Capabilities(
            ops,
            m.dtypes,
            devices=("cpu", "cpu:1"),
            modes=("eager", "compiled"),
            profiles=profiles,
            online=m.online,
            outputs=OUTPUTS,
            layouts=LAYOUTS,
            scales=OPS,
            mean=m.mean,
            normalised_targets=m.normalised_targets,
        )
        return replace(found, **self.declares)

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        """The mutant where it is meant, else the control."""
        wrong = problem.op == self.mutant.op and (mode, device) == PLACES[self.across]
        return _adapter(self.mutant.id if wrong else control(problem.op).id).evaluate(problem, device, mode)

    def error_kind(self, error: Exception) -> str:
        """As plain functions have it."""
        return "internal"

    def script(self, problem: Problem, device: str, mode: str) -> str:
        """None."""
        raise NotImplementedError

    def targets(self) -> list[Target]:
        """The place of the mutant, after the other one if there are two."""
        places = [PLACES[""], PLACES[self.across]] if self.across else [PLACES[""]]
        return [KnownTarget(self, mode, device) for mode, device in places]


class _Declaring(NumpyAdapter):
    def __init__(self, name: str, declares: Mapping[str, Any]) -> None:
        super().__init__()
        self.name = name
        # What NumPy intends is not what every stated answer shows.
        self._capabilities = replace(self._capabilities, conventions={}, **declares)


@dataclass(frozen=True)
class Spoken(Target):
    """A target that gives one answer to every problem: outputs, or the kind of an error."""

    answer: Answer = ""

    def play(
        self, problems: Sequence[Problem], *, isolate: bool = False, watch: bool = False, alone: str = ""
    ) -> Iterator[Outcome]:
        """The answer, rounded to the format."""
        for p in problems:
            if isinstance(self.answer, str):
                yield Outcome(error=self.answer, message="as stated")
                continue
            rounded = {name: FORMATS[p.dtype].round(np.asarray(a, dtype=float)) for name, a in self.answer.items()}
            yield Outcome({name: Tensor(a, p.dtype) for name, a in rounded.items()})


def answered(example: Example, dtype: str, answers: Sequence[Answer]) -> list[list[Observation]]:
    """What the engine says to each of some answers, against one truth."""
    targets = [Spoken(_Declaring(f"answer{n}", example.declares), answer=a) for n, a in enumerate(answers)]
    found: dict[str, list[Observation]] = {t.name: [] for t in targets}
    for o in run(targets, [example.make(dtype)]):
        if o.verdict != "unsupported":
            found[o.target].append(o)
    return [*found.values()]


def failing(
    clause: Clause, mutants: Sequence[Mutant], *, across: str = "", dtypes: Sequence[str] = DTYPES
) -> dict[str, list[Observation]]:
    """For each mutant the observations of a clause's calls that fail."""
    implementations = [Implementation(m, across, clause.declares) for m in mutants]
    targets = [t for i in implementations for t in i.targets()]
    owner = {t.name: t.adapter.name for t in targets}
    found: dict[str, list[Observation]] = {m.id: [] for m in mutants}
    for o in run(targets, [c for c in clause.calls if c.problem.dtype in dtypes]):
        if o.verdict in FAILING:
            found[owner.get(o.target, o.target)].append(o)
    return found


def shown(clause: Clause, mutant: Mutant) -> list[Observation]:
    """Everything that is observed of a mutant on a clause's calls."""
    return list(run(Implementation(mutant, clause.across, clause.declares).targets(), clause.calls))
