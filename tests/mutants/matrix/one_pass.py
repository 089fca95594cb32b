"""Answers to regular calls in the compiled pass, if there is a compiler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lossproof.core.batch import stack
from lossproof.core.call import Call
from lossproof.core.formats import F64
from lossproof.core.profiles import Declared
from lossproof.judging.fused.compiler import missing

from .places import Answered, Found, Place, answered, message, solved

# Outputs that the pass judges.
_REGULAR = ("value", "vjp")
# What answers in the pass: an implementation by its number, or an end of what those answer that declare the same.
Who = int | tuple[Declared, str]
Answers = dict[tuple[Who, int, str], F64]


def in_one_pass(calls: Sequence[Call], several: Sequence[Answered], places: Sequence[Place]) -> dict[Place, Found]:
    """What the pass is certain of. Those who answer have one mean.

    Of those that are alike the smallest and the largest answer to each entry is judged. If these are within the bound,
    all between them are: a difference is rounded to no more than that of an end.
    """
    if missing() or not set(calls[0].outputs) <= set(_REGULAR):
        return {}
    if not places:
        return {}
    mean = several[places[0].who].declared
    ends: Answers = {}
    alone: Answers = {}
    for place in places:
        answer, who = answered(calls, several, place), several[place.who]
        if who.alike:
            _widen(ends, who.declared, place, answer)
        else:
            alone[place.who, place.call, place.output] = answer
    declared = {p.who: several[p.who].declared for p in places}
    found: dict[Place, Found] = {}
    first = _Pass.of(calls, {**alone, **_bounding(ends)}, mean, declared)
    if first is None:
        return {}
    both: dict[tuple[Declared, int, str], Found | None] = {}
    for place in places:
        who = several[place.who]
        if who.alike:
            between = who.declared, place.call, place.output
            if between not in both:
                both[between] = first.said_between(*between)
            right = both[between]
            if right is not None:
                found[place] = right
        else:
            one = first.said((place.who, place.call, place.output))
            if one is not None:
                found[place] = one
    # Some of them are wrong, or infinite where they may be.
    left = [p for p in places if several[p.who].alike and p not in found and p.call in first.regular]
    again = _Pass.of(calls, {(p.who, p.call, p.output): answered(calls, several, p) for p in left}, mean, declared)
    if again is not None:
        said = {place: again.said((place.who, place.call, place.output)) for place in left}
        found |= {place: one for place, one in said.items() if one is not None}
    return found


_ENDS = ("low", "high")


def _widen(ends: Answers, declared: Declared, place: Place, answer: F64) -> None:
    for end, of_both in zip(_ENDS, (np.minimum, np.maximum), strict=True):
        key = ((declared, end), place.call, place.output)
        if key in ends:
            of_both(ends[key], answer, out=ends[key])
        else:
            ends[key] = answer.copy()


def _bounding(ends: Answers) -> Answers:
    """Ends between which there are finite numbers alone, or nothing."""
    found: Answers = {}
    for (who, i, name), low in ends.items():
        if isinstance(who, tuple) and who[1] == _ENDS[0]:
            other = ((who[0], _ENDS[1]), i, name)
            high = ends[other]
            if (np.isfinite(high - low) | (low == high)).all():
                found[who, i, name], found[other] = low, high
    return found


@dataclass(frozen=True)
class _Pass:
    """A pass over some calls: what it says of answers, and the numbers of the calls that it says something of."""

    calls: Sequence[Call]
    answers: Answers
    regular: Mapping[int, int]
    columns: Mapping[Who, int]
    found: F64
    models: Mapping[Who, int]

    @classmethod
    def of(
        cls, calls: Sequence[Call], answers: Answers, mean: Declared, declared: Mapping[int, Declared]
    ) -> _Pass | None:
        """None where it is not for the pass."""
        if not answers:
            return None
        # Numba is dear to import, and only here is it used.
        from lossproof.judging.fused.regular_calls import judge_regular

        numbers, them = sorted({i for _, i, _ in answers}), list(dict.fromkeys(who for who, _, _ in answers))
        columns, rows = {who: n for n, who in enumerate(them)}, {i: n for n, i in enumerate(numbers)}
        got: dict[str, F64] = {}
        for (who, i, name), answer in answers.items():
            if name not in got:
                got[name] = np.full((len(them), len(numbers), *answer.shape), np.nan)
            got[name][columns[who], rows[i]] = answer
        problems = solved(calls, numbers, mean)
        if "vjp" not in got:
            problems = [replace(p, cotangent=None) for p in problems]
        of_each = [declared[who] if isinstance(who, int) else who[0] for who in them]
        summaries = judge_regular(stack(problems), got, of_each, random=False, met=False)
        if summaries is None:
            return None
        places = {(m.profile, m.online): n for n, m in list(enumerate(summaries.models))[1:-1]}
        models = {who: places[d.profile, d.online] for who, d in zip(them, of_each, strict=True)}
        regular = {i: n for i, n in rows.items() if summaries.regular[:, n].all()}
        return cls(calls, answers, regular, columns, summaries.found, models)

    def said_between(self, declared: Declared, i: int, name: str) -> Found | None:
        """What is certain of all answers between both ends, if they are right."""
        low, high = (self.said(((declared, end), i, name)) for end in _ENDS)
        if low is None or high is None or low.failed or high.failed or low.conventions != high.conventions:
            return None
        if "3" in low.conventions:
            # Which of two gradients it is may be another one in other entries of an answer between them.
            return None
        return low._replace(share=max(low.share, high.share))

    def said(self, key: tuple[Who, int, str]) -> Found | None:
        """What is certain of an answer, if anything is."""
        from lossproof.judging.fused.entries import ALLOWED, LOW, MID, OK, RAD, SHARE, UNDECIDED, WORST
        from lossproof.judging.fused.observe_regular import shown_by

        who, i, name = key
        if key not in self.answers or i not in self.regular:
            return None
        said = self.found[self.columns[who], _REGULAR.index(name), self.regular[i], self.models[who]].tolist()
        shown = shown_by(said)
        if said[OK]:
            return None if said[UNDECIDED] else Found(self.calls[i], name, False, said[SHARE], "", shown)
        if said[UNDECIDED] and self.calls[i].outline.has_probability_target:
            # The worst entry may be at the bound of a second gradient.
            return None
        answer, worst = self.answers[key], int(said[WORST])
        at = (worst,) if answer.ndim == 1 else divmod(worst, answer.shape[1])
        value = float(answer[at])
        # Wherever in its enclosure the exact result is, the worst entry is beyond its bound.
        if abs((value - said[MID]) - said[LOW]) - said[RAD] <= said[ALLOWED]:
            return None
        return Found(
            self.calls[i], name, True, said[SHARE], message(self.calls[i], name, value, at, said[SHARE]), shown
        )
