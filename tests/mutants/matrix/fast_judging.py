"""The lean path of the engine: one stack of outputs against one truth, verdicts and conventions and nothing else.

``run`` writes messages, profiles met and JSON for each output, which takes longer than all judging. Here only what a
kill needs is made; an undecided output goes the engine's own way. ``test_fast_judging.py`` holds the two paths equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lossproof.adapters.local import sorted_outcome
from lossproof.adapters.protocol import Outcome, Problem, UnsupportedProblem
from lossproof.core.batch import flat
from lossproof.core.call import Call
from lossproof.core.observation import FAILING, Observation
from lossproof.core.operations import solved_by
from lossproof.core.profiles import Declared
from lossproof.judging.judge import Judged, conventions, judge_stack
from lossproof.judging.messages import own_index
from lossproof.judging.observe import observe
from lossproof.targets.plain_function import FunctionAdapter
from lossproof.targets.target import Target
from lossproof.truth.truth import Truth, truth


@dataclass(frozen=True)
class Found:
    """One output of one call: ``got`` is None where the mutant raised or returned another shape or dtype."""

    call: Call
    output: str
    failed: bool
    share: float
    message: str
    conventions: dict[str, str]
    got: np.ndarray | None


# What is said of one output of a stack of calls, by its name, what is wrong with its form, and its bits.
Memo = dict[tuple[str, tuple[str | None, ...], bytes], list[Found]]


def answers(adapter: FunctionAdapter, problems: Sequence[Problem]) -> list[Outcome]:
    """What ``Target.play`` gives, without asking for the capabilities each time."""
    if adapter.normalised_targets:
        return list(Target(adapter).play(problems))
    return [_answer(adapter, p) for p in problems]


def _answer(adapter: FunctionAdapter, problem: Problem) -> Outcome:
    try:
        return sorted_outcome(adapter, adapter.evaluate(problem, "cpu", "eager"))
    except UnsupportedProblem as error:
        return Outcome(error="unsupported", message=str(error))
    except Exception as error:  # the boundary to foreign code
        return Outcome(error="internal", message=f"{type(error).__name__}: {error}")


def found(
    calls: Sequence[Call], exact: Truth, outcomes: Sequence[Outcome], declared: Declared, memo: Memo | None = None
) -> Iterator[Found]:
    """Every output that the mutant offers, judged.

    The verdict is a function of the calls, the answers and what is declared: ``memo``, one for the same calls, truth
    and declaration, keeps it for those who answer with the same bits.
    """
    memo = memo if memo is not None else {}
    for name, expected in exact.expected.items():
        got = np.full(expected.exact.mid.shape, np.nan)
        wrong = tuple(_trouble(name, c.problem, o) for c, o in zip(calls, outcomes, strict=True))
        if all(w is None for w in wrong):
            continue
        for i, (call, outcome) in enumerate(zip(calls, outcomes, strict=True)):
            if wrong[i] == "":
                got[i] = flat(outcome.outputs[name].data, call.problem).reshape(got.shape[1:])
        key = (name, wrong, got.tobytes())
        if key not in memo:
            memo[key] = list(_judged(name, calls, exact, outcomes, declared, got, wrong))
        yield from memo[key]


def _judged(
    name: str,
    calls: Sequence[Call],
    exact: Truth,
    outcomes: Sequence[Outcome],
    declared: Declared,
    got: np.ndarray,
    wrong: Sequence[str | None],
) -> Iterator[Found]:
    expected, bound = exact.expected[name], exact.allowed(declared.profile, online=declared.online).outputs[name]
    judged = judge_stack(expected, bound, got, exact.batch.fmt)
    for i, call in enumerate(calls):
        text = wrong[i]
        if text is None:
            continue
        if text:
            yield Found(call, name, True, np.inf, f"{call.id} {name}: {text}", {}, None)
            continue
        failed, share = not judged.ok[i], float(judged.share[i])
        shown = conventions(expected, got[i], i, bound)
        # Clause 7 excuses an overflow; an exact result needs no excuse.
        shown = {clause: how for clause, how in shown.items() if (clause, how) != ("7", "limit")}
        if judged.undecided[i]:
            o = next(o for o in _engine(call, outcomes[i], declared) if o.output == name)
            failed, share, shown = o.verdict in FAILING, o.share, dict(o.conventions)
        yield Found(call, name, failed, share, _message(name, call, judged, got, i) if failed else "", shown, got[i])


def _engine(call: Call, outcome: Outcome, declared: Declared) -> list[Observation]:
    exact = truth([solved_by(call.problem, declared.mean)])
    return observe([call], exact, [outcome], "mutant", declared)


def _trouble(name: str, p: Problem, outcome: Outcome) -> str | None:
    """None if the output is not on offer, what is wrong with its form, or nothing."""
    if outcome.error is not None:
        return None if outcome.error == "unsupported" else outcome.message
    if name in outcome.failures:
        return outcome.failures[name][1]
    got = outcome.outputs.get(name)
    if got is None:
        return None
    wanted = p.shape_of(name)
    if got.data.shape != wanted:
        return f"shape {got.data.shape}, expected {wanted}"
    return "" if got.dtype == p.dtype else f"dtype {got.dtype}, expected {p.dtype}"


def _message(name: str, call: Call, judged: Judged, got: np.ndarray, i: int) -> str:
    if not got[i].size:
        return call.id
    at = tuple(int(v) for v in np.unravel_index(int(judged.worst[i]), got.shape[1:]))
    return f"{call.id} {name}: got {got[(i, *at)]:.9g} at {own_index(at, call.problem, name)}, {judged.share[i]:.3g}x"
