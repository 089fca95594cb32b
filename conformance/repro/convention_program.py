"""Reproducers of conventions that differ: two calls that are alike but for their dtype or mode, in one program.

Each of the two is right by itself, since a may-clause leaves open what it shows. The program computes one entry of both
and says whether they agree: both NaN, equal, or not further apart than the two bounds and what rounding the inputs to
the two dtypes makes of the exact result.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lossproof.adapters.protocol import Outcome
from lossproof.core.batch import flat
from lossproof.core.call import Call
from lossproof.core.case_id import CONVENTION_FORM, CaseId, Kind
from lossproof.core.errors import UsageError
from lossproof.core.names import known_names
from lossproof.core.observation import Observation
from lossproof.core.operations import OPERATIONS
from lossproof.judging.check import Check
from lossproof.judging.messages import own_index
from lossproof.records.waivers import waivers_in_force
from lossproof.repro.program import Reproducer, narrowed, solved
from lossproof.repro.script_text import ProgramParts, laid_out, parts
from lossproof.running.convention_ledger import alike, is_compared
from lossproof.running.loop import run
from lossproof.targets.capture import listen
from lossproof.targets.target import Target


@dataclass(frozen=True)
class Shown:
    """The behaviour ``how`` that one call shows of a clause on one target."""

    call: Call
    target: Target
    how: str

    @property
    def place(self) -> str:
        """Words for the dtype and the target."""
        return f"{self.call.problem.dtype} on {self.target.name}"


def apart(id: str, targets: Sequence[Target], calls: Sequence[Call], command: str) -> Reproducer:
    """Write the program that shows two calls which follow different conventions.

    ``id`` names the convention as runs print it, ``OP/all/convention/clause-N/OUTPUT``; ``calls`` are run on the
    ``targets`` to find the two. Raises :class:`UsageError` for an id of another form, if all calls agree, and where
    only answers to invalid input differ.
    """
    case = convention(id)
    asked = [c for c in calls if is_compared(case.clause, c) and c.outline.op == case.op]
    by_id, by_name = {c.id: c for c in asked}, {t.name: t for t in targets}
    seen: dict[str, list[Shown]] = {}
    told: Observation | None = None
    marks = waivers_in_force(targets)
    for o in run(targets, asked):
        told = marks.mark(o) if o.id == id else told
        if o.output == case.output and case.clause in o.conventions and o.id in by_id:
            call = by_id[o.id]
            seen.setdefault(alike(call), []).append(Shown(call, by_name[o.target], o.conventions[case.clause]))
    if told is None or told.verdict != "fail":
        raise UsageError(f"{id} does not differ on {', '.join(by_name)}: there is nothing to show")
    pairs = [pair for group in seen.values() for pair in _different(group)]
    valid = [pair for pair in pairs if not isinstance(pair[0].call, Check)]
    if not valid:
        raise UsageError(f"no program of two calls shows {id}, lossproof explain shows each: {told.message}")
    first, second = min(valid, key=lambda pair: (pair[0].target != pair[1].target, pair[0].call.problem.x.size))
    text = _program((_alone(first, case), _alone(second, case)), case, command)
    return Reproducer(text, first.call, told, None, first.target, differs=(first.place, second.place))


def convention(id: str) -> CaseId:
    """The id of a convention, read. Raises :class:`UsageError` if it is none, or of an op that there is not."""
    case = CaseId.parse(id)
    if case.kind is not Kind.CONVENTION:
        raise UsageError(f"{id!r} names no convention; expected {CONVENTION_FORM}")
    known_names("op", [case.op], list(OPERATIONS))
    return case


def _different(group: Sequence[Shown]) -> Iterator[tuple[Shown, Shown]]:
    for i, first in enumerate(group):
        yield from ((first, second) for second in group[i + 1 :] if second.how != first.how)


def _alone(shown: Shown, case: CaseId) -> Shown:
    """Ask for the one output alone, if the call then still shows the same behaviour; else leave it as it is."""
    call = shown.call.with_problem(narrowed(shown.call.problem, case.output))
    for o in run([shown.target], [call]):
        if o.id == call.id and o.output == case.output and o.conventions.get(case.clause) == shown.how:
            return replace(shown, call=call)
    return shown


def _answer(shown: Shown) -> Outcome:
    ear = listen(shown.target)
    list(run([ear], [shown.call]))
    return ear.heard[0]


def _program(pair: tuple[Shown, Shown], case: CaseId, command: str) -> str:
    index, allowed = _entry(pair, case.output)
    first, second = (parts(s.target.script(s.call.problem), case.output) for s in pair)
    if {line for line in first.given if "environ[" in line} != {line for line in second.given if "environ[" in line}:
        raise UsageError(f"{pair[0].target.name} and {pair[1].target.name} are not at hand in one process")
    versions = ", ".join(f"{k} {v}" for k, v in pair[0].target.describe().versions.items())
    said = "; ".join(f"{s.how} in {s.place}" for s in pair)
    at = "".join(f"[{i}]" for i in index)
    names = [f"{case.output}{at}", *(s.place for s in pair)]
    dtypes = dict.fromkeys(s.call.problem.dtype for s in pair)
    title = first.title.replace(f" in {pair[0].call.problem.dtype}", f" in {' and '.join(dtypes)}", 1)
    return laid_out(command, title, versions, said, list(_lines(first, second, at, allowed, names)))


def _lines(first: ProgramParts, second: ProgramParts, at: str, allowed: float, names: Sequence[str]) -> Iterator[str]:
    one, other = _statements(first), _statements(second)
    apart = [i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b]
    if len(one) == len(other) and apart and all(_sets_the_same(one[i], other[i]) for i in apart):
        yield from _looped(one, other, apart, f"{first.expression}{at}")
    else:
        yield from (*first.given, *first.computed, f"first = {first.expression}{at}")
        # Inputs are set again, the rest is there once.
        yield from (text for text in other if text not in one or isinstance(ast.parse(text).body[0], ast.Assign))
        yield f"second = {second.expression}{at}"
    near = f" or abs(first - second) <= {allowed!r}" if allowed else ""
    yield f"right = first == second or (first != first and second != second){near}"
    yield f'print("{names[0]}: observed", first, "in {names[1]},", second, "in {names[2]}")'
    yield first.versions


def _looped(one: Sequence[str], other: Sequence[str], apart: Sequence[int], observed: str) -> Iterator[str]:
    """Write one computation for both calls, in a loop over what their programs set differently."""
    yield from one[: apart[0]]
    yield "cases = ["
    for several in (one, other):
        values = [_set(several[i])[1] for i in apart]
        yield f"    {values[0]}," if len(values) == 1 else f"    ({', '.join(values)}),"
    yield "]"
    yield "seen = []"
    yield f"for {', '.join(_set(one[i])[0] for i in apart)} in cases:"
    again = [text for i, text in enumerate(one) if i > apart[0] and i not in apart]
    yield from (f"    {line}" for text in (*again, f"seen.append({observed})") for line in text.splitlines())
    yield "first, second = seen"


def _statements(program: ProgramParts) -> list[str]:
    lines = (*program.given, *program.computed)
    return ["\n".join(lines[s.lineno - 1 : s.end_lineno]) for s in ast.parse("\n".join(lines)).body]


def _set(text: str) -> tuple[str, str]:
    """Split an assignment into name and value; the name is empty for any other statement."""
    name, _, value = text.partition(" = ")
    return (name, value) if name.isidentifier() and "\n" not in value else ("", "")


def _sets_the_same(a: str, b: str) -> bool:
    return _set(a)[0] == _set(b)[0] != ""


def _entry(pair: tuple[Shown, Shown], output: str) -> tuple[tuple[int, ...], float]:
    """Find the entry at which the two answers differ most; its index, and by how much they may differ there."""
    got, exact, bound = [], [], []
    for shown in pair:
        p = shown.call.problem
        got.append(flat(_answer(shown).outputs[output].data, p))
        mid, allowed = solved(p, shown.target, output)
        exact.append(mid)
        bound.append(allowed)
    with np.errstate(all="ignore"):
        free = np.nan_to_num(bound[0] + bound[1] + np.abs(exact[0] - exact[1]), nan=0.0, posinf=0.0)
        far = np.abs(got[0] - got[1]) - free
    far = np.where(np.isnan(got[0]) & np.isnan(got[1]) | (got[0] == got[1]), -np.inf, np.nan_to_num(far, nan=np.inf))
    at = np.unravel_index(int(far.argmax()), far.shape)
    return own_index(tuple(int(i) for i in at), pair[0].call.problem, output), float(free[at])
