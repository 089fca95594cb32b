"""The lean path of the engine: several implementations' answers to one group of calls, verdicts and conventions and
nothing else.

``run`` writes messages, profiles met and JSON for each output, which takes longer than all judging. Here only what a
kill needs is made, of all answers together: regular calls in one compiled pass, if there is a compiler, and the others
against one truth. An undecided output goes the engine's own way. ``test_fast_judging.py`` holds the two paths equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import numpy as np

from lossproof.adapters.protocol import Outcome, Problem
from lossproof.core.call import Call
from lossproof.core.observation import FAILING, Observation
from lossproof.core.operations import solved_by
from lossproof.judging.judge import conventions, judge_stack
from lossproof.judging.observe import observe, without_excuses
from lossproof.truth.asked import narrowed_to
from lossproof.truth.expected import Expected
from lossproof.truth.oracle.enclosure import Enclosure
from lossproof.truth.truth import Truth, truth

from .one_pass import in_one_pass
from .places import Answered, Found, Place, answered, message, solved

# Entries that are judged together in arrays.
_TOGETHER = 1 << 18


# Overflow and NaN are what is looked for.
@np.errstate(all="ignore")
def judged(calls: Sequence[Call], several: Sequence[Answered]) -> list[list[Found]]:
    """Every output that each implementation offers, judged. The calls are of one signature."""
    found: list[list[Found]] = [[] for _ in several]
    # An answer that several give with one tensor, and declare alike, is judged once.
    left: dict[tuple[object, ...], list[Place]] = {}
    for who, one in enumerate(several):
        for i, outcome in one.outcomes.items():
            for name in calls[i].outputs:
                wrong = _trouble(name, calls[i].outline, outcome)
                if wrong:
                    text = f"{calls[i].id} {name}: {wrong}"
                    found[who].append(Found(calls[i], name, True, np.inf, text, {}))
                elif wrong is not None:
                    answer = id(outcome.outputs[name]), one.declared, one.alike, i, name
                    left.setdefault(answer, []).append(Place(who, i, name))
    givers = {places[0]: places for places in left.values()}
    for same in _by_problem(calls, several, list(givers)):
        regular = in_one_pass(calls, several, same)
        rest = [place for place in same if place not in regular]
        for place, one_found in chain(regular.items(), _against_truth(calls, several, rest)):
            for giver in givers[place]:
                found[giver.who].append(one_found)
    return found


def _trouble(name: str, p: Problem, outcome: Outcome) -> str | None:
    """None if the output is not on offer, what is wrong with its form, or nothing."""
    if outcome.error is not None:
        return None if outcome.error == "unsupported" else outcome.message or outcome.error
    if name in outcome.failures:
        return outcome.failures[name][1] or outcome.failures[name][0]
    got = outcome.outputs.get(name)
    if got is None:
        return None
    wanted = p.shape_of(name)
    if got.data.shape != wanted:
        return f"shape {got.data.shape}, expected {wanted}"
    return "" if got.dtype == p.dtype else f"dtype {got.dtype}, expected {p.dtype}"


def _by_problem(calls: Sequence[Call], several: Sequence[Answered], places: Sequence[Place]) -> Iterator[list[Place]]:
    """Places apart by the mean that the calls ask for, as who answers declares it: another mean is another problem."""
    means = {one.declared.mean for one in several}
    reductions = {mean: solved_by(calls[0].outline, mean).reduction for mean in means}
    parts: dict[str, list[Place]] = {}
    for place in places:
        parts.setdefault(reductions[several[place.who].declared.mean], []).append(place)
    yield from parts.values()


def _against_truth(
    calls: Sequence[Call], several: Sequence[Answered], places: Sequence[Place]
) -> Iterator[tuple[Place, Found]]:
    """Everything else. Those who answer have one mean."""
    if not places:
        return
    numbers = sorted({p.call for p in places})
    names = dict.fromkeys(p.output for p in places)
    exact = truth(narrowed_to(solved(calls, numbers, several[places[0].who].declared), names))
    row = {i: n for n, i in enumerate(numbers)}
    for name in names:
        step = max(1, _TOGETHER * len(numbers) // max(1, exact.expected[name].exact.mid.size))
        # Who declares the same has the same bounds.
        some = sorted((p for p in places if p.output == name), key=lambda p: several[p.who].declared.profile)
        for start in range(0, len(some), step):
            yield from _stacked(calls, several, some[start : start + step], exact, row)


def _stacked(
    calls: Sequence[Call],
    several: Sequence[Answered],
    places: Sequence[Place],
    exact: Truth,
    row: Mapping[int, int],
) -> Iterator[tuple[Place, Found]]:
    """The answers of several to several calls, one output of each, as one stack."""
    name = places[0].output
    expected, rows = exact.expected[name], [row[p.call] for p in places]
    of_each = {
        d: exact.allowed(d.profile, online=d.online).outputs[name] for d in {several[p.who].declared for p in places}
    }
    bounds = [of_each[several[p.who].declared] for p in places]
    shape = expected.exact.mid.shape[1:]
    got = np.stack([answered(calls, several, place).reshape(shape) for place in places])
    allowed = np.stack([bound[n] for bound, n in zip(bounds, rows, strict=True)])
    said = judge_stack(_taken(expected, rows), allowed, got, exact.batch.fmt)
    for j, (place, n, bound) in enumerate(zip(places, rows, bounds, strict=True)):
        call, failed, share = calls[place.call], not said.ok[j], float(said.share[j])
        if said.undecided[j]:
            o = _of_engine(call, several[place.who], place)
            yield place, Found(call, name, o.verdict in FAILING, o.share, o.message, dict(o.conventions))
            continue
        shown = without_excuses(conventions(expected, got[j], n, bound))
        text = ""
        if failed:
            at = tuple(int(v) for v in np.unravel_index(int(said.worst[j]), shape))
            text = message(call, name, float(got[(j, *at)]), at, share)
        yield place, Found(call, name, failed, share, text, shown)


def _taken(e: Expected, rows: Sequence[int]) -> Expected:
    other = None if e.other is None else _enclosure(e.other, rows)
    return Expected(_enclosure(e.exact, rows), e.accept[rows], e.clause[rows], e.strict[rows], other)


def _enclosure(e: Enclosure, rows: Sequence[int]) -> Enclosure:
    return Enclosure(e.mid[rows], e.low[rows], e.rad[rows])


def _of_engine(call: Call, one: Answered, place: Place) -> Observation:
    exact = truth([solved_by(call.problem, one.declared.mean)])
    said = observe([call], exact, [one.outcomes[place.call]], "mutant", one.declared)
    return next(o for o in said if o.output == place.output)
