"""Answers become observations: profiles, conventions, the quality grade, the escalation of undecided cases."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lossproof.adapters.protocol import OUTPUTS, Outcome
from lossproof.core.batch import Bools, flat
from lossproof.core.call import Call
from lossproof.core.clauses import ABSOLUTE, RELATIVE, TAIL
from lossproof.core.formats import F64
from lossproof.core.observation import Observation, bits_digest
from lossproof.core.operations import solved_by
from lossproof.core.profiles import Declared
from lossproof.judging.judge import Judged, conventions, judge_stack
from lossproof.judging.messages import message, own_index, unusable_answer
from lossproof.truth.expected import Expected
from lossproof.truth.oracle.in_balls import PRECISIONS
from lossproof.truth.truth import Truth, truth

# Below this many terms the statistical summation constant equals the hard one.
GRADED_TERMS = 83


def observe(
    calls: Sequence[Call],
    exact: Truth,
    outcomes: Sequence[Outcome],
    target: str,
    declared: Declared,
    *,
    offered: Collection[str] = OUTPUTS,
    outputs: Collection[str] = OUTPUTS,
    excused: bool = True,
) -> list[Observation]:
    """Judge one target's outcomes for a stack of calls: one observation per call and output, in order.

    ``offered`` are the outputs that the target has; the error of a call is none of the others. ``outputs`` are those
    to be judged, of those that the truth has. What the conventions say is all that is shown where it is not to be
    ``excused`` (see :func:`without_excuses`).
    """
    per_output = [
        _observe_output(name, calls, exact, outcomes, target, declared, offered=name in offered, excused=excused)
        for name in exact.expected
        if name in outputs
    ]
    return [observation for row in zip(*per_output, strict=True) for observation in row]


@dataclass(frozen=True)
class _Stack:
    """One output of one target for a stack of calls, in the batch's layout."""

    name: str
    exact: Truth
    got: F64
    declared: Declared

    @property
    def expected(self) -> Expected:
        return self.exact.expected[self.name]

    def bound(self, profile: str, *, randomly_ordered: bool = False) -> F64:
        allowed = self.exact.allowed(profile, randomly_ordered=randomly_ordered, online=self.declared.online)
        return allowed.outputs[self.name]

    def judge(self, profile: str, *, randomly_ordered: bool = False) -> Judged:
        bound = self.bound(profile, randomly_ordered=randomly_ordered)
        return judge_stack(self.expected, bound, self.got, self.exact.batch.format_of(self.name))


def _observe_output(
    name: str,
    calls: Sequence[Call],
    exact: Truth,
    outcomes: Sequence[Outcome],
    target: str,
    declared: Declared,
    *,
    offered: bool,
    excused: bool,
) -> list[Observation]:
    got = np.full(exact.expected[name].exact.mid.shape, np.nan)
    blank = [
        Observation.of(c, name, target, profile=declared.profile, seconds=o.seconds, note=o.note)
        for c, o in zip(calls, outcomes, strict=True)
    ]
    broken = [
        unusable_answer(base, call, outcome, offered=offered)
        for base, call, outcome in zip(blank, calls, outcomes, strict=True)
    ]
    for i, (call, outcome) in enumerate(zip(calls, outcomes, strict=True)):
        if broken[i] is None:
            got[i] = flat(outcome.outputs[name].data, call.problem).reshape(got.shape[1:])
    stack = _Stack(name, exact, got, declared)
    judged = {profile: stack.judge(profile) for profile in _profiles(declared, exact)}
    beyond = _beyond_grade(calls, stack)
    result = []
    for i, call in enumerate(calls):
        trouble_i = broken[i]
        if trouble_i is not None:
            result.append(trouble_i)
        elif judged[declared.profile].undecided[i]:
            result.append(_escalate(blank[i], call, stack, i, excused=excused))
        else:
            met = next((p for p in ("W", "F", "N") if p in judged and judged[p].ok[i]), "")
            result.append(
                _one(
                    replace(blank[i], met=met),
                    call,
                    stack,
                    judged[declared.profile],
                    i,
                    beyond=bool(beyond[i]),
                    excused=excused,
                )
            )
    return result


def _profiles(declared: Declared, exact: Truth) -> tuple[str, ...]:
    """The declared profile, and those that make sense for the dtype: the strictest one met is recorded."""
    return tuple({"W", declared.profile, exact.batch.fmt.default_profile})


def _beyond_grade(calls: Sequence[Call], stack: _Stack) -> Bools:
    """Calls with randomly ordered data whose error exceeds the statistical grade."""
    random = np.array([c.random_order for c in calls], dtype=bool)
    if not random.any() or max(stack.exact.batch.k, stack.exact.batch.n * stack.exact.copies) < GRADED_TERMS:
        return np.zeros(len(calls), dtype=bool)
    return random & ~stack.judge(stack.declared.profile, randomly_ordered=True).ok


def _escalate(base: Observation, call: Call, stack: _Stack, i: int, *, excused: bool) -> Observation:
    """An undecided case: raise Arb's precision until the verdict is certain."""
    p = solved_by(call.problem, stack.declared.mean)
    for precision in PRECISIONS:
        one = replace(stack, exact=truth([p], precision=precision, copies=stack.exact.copies), got=stack.got[i : i + 1])
        judged = one.judge(stack.declared.profile)
        if not judged.undecided[0]:
            return _one(base, call, one, judged, 0, beyond=False, excused=excused)
    text = f"undecided at {PRECISIONS[-1]} bits: the answer sits on the bound"
    return replace(base, verdict="error", message=text, call=call)


def _tail(stack: _Stack, i: int) -> dict[str, str]:
    """The grade of small results of the i-th call, if it has any: it is no part of the verdict."""
    tail = stack.exact.tail(stack.name, stack.declared.profile, online=stack.declared.online)
    kept = None if tail is None else tail.keeps(stack.got[i], i)
    return {} if kept is None else {TAIL: RELATIVE if kept else ABSOLUTE}


def without_excuses(shown: Mapping[str, str]) -> dict[str, str]:
    """Conventions without needless excuses: clause 7 excuses an overflow, and an exact result needs no excuse."""
    return {clause: how for clause, how in shown.items() if (clause, how) != ("7", "limit")}


def _one(
    base: Observation, call: Call, stack: _Stack, judged: Judged, i: int, *, beyond: bool, excused: bool
) -> Observation:
    got = stack.got[i]
    shown = conventions(stack.expected, got, i, stack.bound(stack.declared.profile))
    shown = without_excuses(shown) if excused else shown
    verdict = "fail" if not judged.ok[i] else "suspect" if beyond else "convention" if shown else "pass"
    observation = replace(
        base,
        verdict=verdict,
        share=float(judged.share[i]),
        ulp=float(judged.ulp[i]),
        conventions=shown | _tail(stack, i),
        bits=bits_digest(got),
    )
    if not got.size:
        return observation
    at = tuple(int(v) for v in np.unravel_index(int(judged.worst[i]), got.shape))
    observation = replace(
        observation,
        index=own_index(at, call.problem, stack.name),
        got=float(got[at]),
        exact=stack.expected.exact.ends((i, *at)),
        allowed=float(stack.bound(stack.declared.profile)[(i, *at)]),
    )
    if verdict in ("pass", "convention"):
        return observation
    solved = call.with_problem(solved_by(call.problem, stack.declared.mean))
    return replace(observation, message=message(solved, observation), call=call)
