"""Reproducers: a case on a target as a short program that needs the framework alone and says whether the defect shows.

The program is the one that ``lossproof explain`` prints, for the one output that is wrong, with the truth in place of
the printed results. Its exit code is 1 if the defect shows, 0 if it does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

from lossproof.adapters.outputs import NEEDS, TABLE
from lossproof.adapters.protocol import Outcome, Problem
from lossproof.cases.simplify import simpler
from lossproof.core.batch import flat
from lossproof.core.call import Call
from lossproof.core.case_id import ERROR
from lossproof.core.errors import UsageError
from lossproof.core.formats import F64
from lossproof.core.observation import Observation
from lossproof.core.operations import solved_by
from lossproof.core.profiles import Declared
from lossproof.judging.check import Check
from lossproof.judging.judge import judge_stack
from lossproof.records.waivers import symptom, waivers_in_force
from lossproof.repro.checked_entry import Entry, entry
from lossproof.repro.script_text import Finding, script
from lossproof.running.loop import run
from lossproof.targets.capture import listen
from lossproof.targets.target import Target
from lossproof.truth.oracle.in_balls import PRECISIONS
from lossproof.truth.truth import Truth, truth

_ABSENT = {field.name: field.default for field in fields(Problem) if field.name in NEEDS}
# Enclosures of larger outputs are not made tighter with Arb.
_TIGHT = 4096
_BAD = ("fail", "suspect", "crash", "timeout", "resource", "error")


@dataclass(frozen=True)
class Reproducer:
    """A program (``text``), and what it shows.

    ``call`` is what was judged, cut down to one output and perhaps simplified; ``observation`` says how. ``entry`` is
    what the program looks at; of an answer to invalid input there is none. ``differs`` names the two dtypes and targets
    of conventions that are not the same, and is empty for a single call.
    """

    text: str
    call: Call
    observation: Observation
    entry: Entry | None
    target: Target
    differs: tuple[str, ...] = ()

    @property
    def shows(self) -> bool:
        """Say whether the target showed a defect."""
        return self.observation.verdict in _BAD


def reproduce(call: Call, target: Target, command: str, *, output: str = "", simplify: bool = False) -> Reproducer:
    """Write the program that shows a case on a target: its ``output``, by default the first that is wrong or the first.

    ``command`` is the command line that stands in its head. With ``simplify`` simpler inputs that show the same are
    looked for. Raises :class:`UsageError` where no program of one call shows the case: relations between calls that are
    right one by one, and adapters that write no programs.
    """
    if isinstance(call, Check) and call.family != ERROR:
        call = _guilty(call, target)
    found = _chosen(list(_observed(call, target)), output, call)
    o, outcome = found
    if not isinstance(call, Check):
        call, o, outcome = _alone(call, target, o, outcome)
        if simplify and o.verdict in _BAD:
            call, o, outcome = _simplified(call, target, o, outcome)
    return reproducer_of(call, o, outcome, target, command)


def asked_again(call: Call, target: Target, output: str) -> tuple[Observation, Outcome] | None:
    """Judge one output of a call once more; None if the target does not offer it."""
    found = (pair for pair in _observed(call, target) if pair[0].output == output)
    return next(found, None)


Same = Callable[[Problem, Observation, Outcome], bool]


def smallest(
    call: Call, target: Target, o: Observation, outcome: Outcome, *, budget: int, same: Same
) -> tuple[Call, Observation, Outcome]:
    """Look for the smallest input that is wrong in the same way, and of which ``same`` holds."""
    found = _alone(call, target, o, outcome)
    if not same(found[0].problem, *found[1:]):
        found = call, o, outcome
    start = found[0]

    def holds(p: Problem) -> bool:
        nonlocal found
        again = _again(p, replace(start, random_order=False), target, o)
        if again is None or not same(p, *again[1:]):
            return False
        found = again
        return True

    simpler(start.problem, holds, at=o.index, budget=budget)
    return found


def reproducer_of(call: Call, o: Observation, outcome: Outcome, target: Target, command: str) -> Reproducer:
    """Write the program that shows an observation of a call. Raises :class:`UsageError` where there is none."""
    if isinstance(call, Check):
        entry, kind = None, _reply(outcome, o)
    else:
        entry, kind = _entry(call.problem, target, o, outcome), _kind(outcome, o, call.problem)
    versions = ", ".join(f"{k} {v}" for k, v in target.describe().versions.items())
    finding = Finding(o, call.problem, entry, kind, _said(o, outcome), versions, command)
    try:
        text = target.script(call.problem)
    except NotImplementedError as error:
        raise UsageError(f"{target.adapter.name} writes no programs: {error}") from None
    return Reproducer(script(text, finding), call, o, entry, target)


def _observed(call: Call, target: Target) -> Iterator[tuple[Observation, Outcome]]:
    """Judge a call on a target; each observation with the answer behind it."""
    ear, marks = listen(target), waivers_in_force([target])
    # Of one call it does not matter what it costs to compile.
    observations = [marks.mark(o) for o in run([ear], [replace(call, tier="core")]) if o.id == call.id]
    for o in observations:
        yield o, ear.heard[0].of(o.output)


def _chosen(found: list[tuple[Observation, Outcome]], output: str, call: Call) -> tuple[Observation, Outcome]:
    outputs = [o.output for o, _ in found]
    if output and output not in outputs:
        raise UsageError(f"{call.id} has no output {output!r}; expected one of {', '.join(outputs)}")
    if not found:
        raise UsageError(f"{call.id} is not judged on this target")
    wanted = [pair for pair in found if not output or pair[0].output == output]
    unsupported = [o.message for o, _ in wanted if o.verdict == "unsupported"]
    if len(unsupported) == len(wanted):
        raise UsageError(f"{call.id} is outside what {found[0][0].target} offers: {unsupported[0]}")
    return next((pair for pair in wanted if pair[0].verdict in _BAD), wanted[0])


def _guilty(check: Check, target: Target) -> Call:
    """Find the first call of a relation that is wrong by itself. Raises :class:`UsageError` if all are right."""
    for call in check.calls:
        if any(o.verdict in _BAD for o, _ in _observed(call, target)):
            return call
    raise UsageError(
        f"{check.id} compares several calls that are right one by one on {target.name}; "
        "lossproof explain prints a program for each"
    )


def narrowed(p: Problem, output: str) -> Problem:
    """Leave out of a problem all inputs that an output does not need."""
    left_out = {name: absent for name, absent in _ABSENT.items() if name not in TABLE[output].needs}
    return replace(p, **left_out)  # type: ignore[arg-type]


def _again(p: Problem, call: Call, target: Target, o: Observation) -> tuple[Call, Observation, Outcome] | None:
    """Judge another problem in the place of a call's; None if the output is not wrong in the same way."""
    other = call.with_problem(p)
    for found, outcome in _observed(other, target):
        if found.output == o.output and (found.verdict, symptom(found)) == (o.verdict, symptom(o)):
            return other, found, outcome
    return None


def _alone(call: Call, target: Target, o: Observation, outcome: Outcome) -> tuple[Call, Observation, Outcome]:
    """Ask for the one output without the others, if it is then wrong in the same way; else leave the call as it is."""
    p = narrowed(call.problem, o.output)
    if p.want == call.problem.want:
        return call, o, outcome
    return _again(p, call, target, o) or (call, o, outcome)


def _simplified(call: Call, target: Target, o: Observation, outcome: Outcome) -> tuple[Call, Observation, Outcome]:
    found = call, o, outcome

    def same(p: Problem) -> bool:
        nonlocal found
        again = _again(p, replace(call, random_order=False), target, o)
        found = again or found
        return again is not None

    simpler(call.problem, same, at=o.index)
    return found


def _reply(outcome: Outcome, o: Observation) -> str:
    """Name what is looked at in an answer to unusual input: that there is one, that there is none, or either."""
    if o.verdict not in _BAD:
        return "either"
    return "answer" if outcome.error is None else "refusal"


def _kind(outcome: Outcome, o: Observation, p: Problem) -> str:
    """Name what the program looks at: the value, that there is one at all, its shape, or its dtype."""
    if outcome.error is not None:
        return "raises"
    got = outcome.outputs[o.output]
    if got.data.shape != p.shape_of(o.output):
        return "shape"
    return "dtype" if got.dtype != p.dtype_of(o.output) else "value"


def _said(o: Observation, outcome: Outcome) -> str:
    """Say in words what the target answered."""
    if outcome.error is not None:
        what = outcome.message or outcome.error
        return f"{o.verdict}: {what}" if o.verdict in ("crash", "timeout", "resource") else what
    got = outcome.outputs[o.output]
    return f"shape {got.data.shape}, {got.dtype}" if o.got is None else repr(o.got)


def _entry(p: Problem, target: Target, o: Observation, outcome: Outcome) -> Entry:
    """Find the entry that decides the verdict; of an answer without entries, the first that must be finite."""
    declared = target.declared(p.op, p.result_dtype)
    exact = _truth(solved_by(p, declared.mean))
    expected, fmt = exact.expected[o.output], exact.batch.format_of(o.output)
    allowed = _bound(exact, declared, o)
    inner = expected.exact.mid.shape[1:]
    flat_at = int(np.isfinite(expected.exact.mid).reshape(-1).argmax()) if expected.exact.mid.size else 0
    tensor = outcome.outputs.get(o.output) if outcome.error is None else None
    if tensor is not None:
        got = flat(tensor.data, p)
        if got.size == expected.exact.mid.size:
            flat_at = int(judge_stack(expected, allowed, got.reshape(1, *inner), fmt).worst[0])
    if not expected.exact.mid.size:
        raise UsageError(f"{o.id} has an empty {o.output}: there is no entry to look at")
    at = tuple(int(i) for i in np.unravel_index(flat_at, inner))
    return entry(exact, o.output, at, p, allowed=float(allowed[(0, *at)]), profile=declared.profile)


def solved(p: Problem, target: Target, output: str) -> tuple[F64, F64]:
    """Compute the exact result of an output of one problem, and the error that a target's declarations allow.

    Both are float64 in the layout of a batch, without its first axis.
    """
    declared = target.declared(p.op, p.result_dtype)
    exact = truth([solved_by(p, declared.mean)])
    return exact.expected[output].exact.mid[0], exact.allowed(declared.profile, online=declared.online).outputs[output][
        0
    ]


def _truth(p: Problem) -> Truth:
    return truth([p], precision=PRECISIONS[0] if p.x.size <= _TIGHT else None)


def _bound(exact: Truth, declared: Declared, o: Observation) -> np.ndarray:
    graded = o.verdict == "suspect"
    allowed = exact.allowed(declared.profile, randomly_ordered=graded, online=declared.online)
    return allowed.outputs[o.output]
