"""What implementations answer to the calls of one group."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import numpy as np

from lossproof.adapters import layouts
from lossproof.adapters.local import refusal, sorted_outcome
from lossproof.adapters.outputs import TABLE
from lossproof.adapters.protocol import Outcome, Problem, Tensor, UnsupportedProblem
from lossproof.core.call import Call
from lossproof.targets.plain_function import FunctionAdapter, given_keywords, numpy_dtype
from lossproof.targets.target import Target
from tests.mutants.kit.mutant import KnownTarget, Mutant
from tests.mutants.kit.sharing import fix, shared_steps

# The ids of mutants, and the numbers of the group's calls that each is asked.
Asked = Mapping[str, Sequence[int]]
Outcomes = dict[int, Outcome]


def outcomes(calls: Sequence[Call], asked: Asked, mutants: Mapping[str, Mutant]) -> dict[str, Outcomes]:
    """What each answers, by the number of the call. Controls take turns, and share arrays and steps."""
    found: dict[str, Outcomes] = {name: {} for name in asked}
    correct = [name for name in asked if depends_on_arguments_alone(mutants[name])]
    for i in sorted({i for name in correct for i in asked[name]}):
        given = Given(calls[i].problem)
        with shared_steps():
            for name in correct:
                if i in asked[name]:
                    found[name][i] = given.answer(mutants[name].adapter())
    for name in asked.keys() - set(correct):
        forget(mutants[name])
        for i in asked[name]:
            found[name][i] = answer(mutants[name].adapter(), calls[i].problem)
    return found


def depends_on_arguments_alone(mutant: Mutant) -> bool:
    """Whether what one answers to a call says nothing of other calls."""
    return mutant.kind == "control" and mutant.restart is None


def forget(mutant: Mutant) -> None:
    """Which jobs a process has done before is left to chance."""
    if mutant.restart:
        mutant.restart()


def answer(adapter: FunctionAdapter, problem: Problem) -> Outcome:
    """What ``Target.play`` gives, without asking for the capabilities each time."""
    if adapter.normalised_targets:
        (outcome,) = Target(adapter).play([problem])
        return outcome
    try:
        return sorted_outcome(adapter, adapter.evaluate(problem, "cpu", "eager"))
    except UnsupportedProblem as error:
        return Outcome(error="unsupported", message=str(error))
    except Exception as error:  # the boundary to foreign code
        return Outcome(error="internal", message=f"{type(error).__name__}: {error}")


@dataclass(frozen=True)
class OfGiven(KnownTarget):
    """A control as a target of a check: it is given arrays that are made once for all controls, and asked in short.

    The long way copies all inputs for each, which cannot be written to here, and notes where an exception was raised.
    """

    given: dict[Problem, Given] = field(default_factory=dict)

    def play(
        self, problems: Sequence[Problem], *, isolate: bool = False, watch: bool = False, alone: str = ""
    ) -> Iterator[Outcome]:
        """One outcome for each problem."""
        adapter = cast(FunctionAdapter, self.adapter)
        for p in problems:
            why = refusal(adapter.name, self.capabilities, p)
            if why:
                yield Outcome(error="unsupported", message=why)
                continue
            if p not in self.given:
                self.given[p] = Given(p)
            yield self.given[p].answer(adapter)


class Given:
    """A problem whose arrays are made once, for all who are asked: they are read-only, so that none can change them."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._arrays: dict[str, Any] = {}
        self._given: dict[Collection[str], Mapping[str, Any]] = {}
        # What a shared step has given to several is one tensor. The array is kept, so that its identity is its own.
        self._tensors: dict[int, tuple[Any, Tensor]] = {}

    @cached_property
    def _plans(self) -> Mapping[str, Any]:
        return layouts.of_problem(self.problem)

    @cached_property
    def _is_plain(self) -> bool:
        return self.problem.scale == 1.0 and not self.problem.omit

    def answer(self, adapter: FunctionAdapter) -> Outcome:
        """The same as :func:`answer`."""
        if adapter.needs_label or adapter.labels != "int64" or not self._is_plain:
            return answer(adapter, self.problem)
        if adapter.normalised_targets:
            why = refusal(adapter.name, adapter.capabilities(), self.problem)
            if why:
                return Outcome(error="unsupported", message=why)
        try:
            keywords = self._keywords(adapter)
        except UnsupportedProblem as error:
            return Outcome(error="unsupported", message=str(error))
        functions = {"value": adapter.value, "vjp": adapter.grad, **adapter.derivatives}
        found: dict[str, Any] = {}
        for name in self.problem.want:
            source = TABLE[name].repeats or name
            function = functions.get(source)
            if function is not None:
                arrays = [self._array(field) for field in ("x", *TABLE[source].takes)]
                try:
                    result = function(*arrays, **keywords)
                except Exception as error:
                    found[name] = error
                    continue
                if not isinstance(result, np.ndarray | np.generic):
                    return answer(adapter, self.problem)
                found[name] = self._tensor(result)
        return sorted_outcome(adapter, found)

    def _keywords(self, adapter: FunctionAdapter) -> Mapping[str, Any]:
        """Who takes the same options is given the same."""
        if adapter.fixed:
            return given_keywords(adapter.name, self.problem, adapter.options, self._array, numpy_dtype, adapter.fixed)
        known = self._given.get(adapter.options)
        if known is None:
            known = given_keywords(adapter.name, self.problem, adapter.options, self._array, numpy_dtype, {})
            self._given[adapter.options] = known
        return known

    def _tensor(self, result: Any) -> Tensor:
        if id(result) not in self._tensors:
            self._tensors[id(result)] = result, Tensor(np.asarray(result).astype(np.float64), result.dtype.name)
        return self._tensors[id(result)][1]

    def _array(self, name: str) -> Any:
        if name not in self._arrays:
            a = getattr(self.problem, name)
            if a is not None:
                a = a.astype(a.dtype if a.dtype.kind in "iu" else numpy_dtype(self.problem.dtype_of_input(name)))
                a = layouts.lay(a, self._plans[name]) if name in self._plans else a
                a = fix(a)
            self._arrays[name] = a
        return self._arrays[name]
