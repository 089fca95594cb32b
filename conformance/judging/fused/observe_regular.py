"""Observations of answers that pass, and of those to large calls, from the pass over regular calls; whatever else there
is stays open."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lossproof.adapters.protocol import Outcome, Problem
from lossproof.core.batch import flat, stack
from lossproof.core.call import Call
from lossproof.core.clauses import ABSOLUTE, RELATIVE, TAIL
from lossproof.core.formats import F64
from lossproof.core.observation import Observation, bits_digest
from lossproof.core.operations import solved_by
from lossproof.core.profiles import STRICTNESS, Declared
from lossproof.judging.fused.entries import (
    ACCURATE,
    ALLOWED,
    AT_LIMIT,
    FIRST_FORMULA,
    GRADED,
    LOW,
    MID,
    OK,
    RAD,
    SECOND_FORMULA,
    SHARE,
    SHOWN_3,
    SHOWN_4,
    SHOWN_6,
    SHOWN_7,
    SHOWN_11,
    ULP,
    UNDECIDED,
    WORST,
)
from lossproof.judging.fused.regular_calls import OUTPUTS, Summaries, is_for_the_pass, judge_regular
from lossproof.judging.messages import message, own_index
from lossproof.judging.observe import GRADED_TERMS, without_excuses
from lossproof.judging.row_blocks import LARGE
from lossproof.truth.expected import NAN, NINF, PINF, ZERO
from lossproof.truth.oracle.enclosure import outward

Key = tuple[int, str]
# Bytes of answers that are judged in one pass: of large calls that is fewer targets at once, for each of which the rest
# is computed again.
_MOST_TOGETHER = 1 << 24
# Clauses and what answers show of them, in the words of ``judge.conventions``.
_FORMULAS = {FIRST_FORMULA: "Q p - w q'", SECOND_FORMULA: "p - w q'"}
_OUTCOMES = {NAN: "nan", PINF: "inf", NINF: "-inf", ZERO: "zero", AT_LIMIT: "limit"}
_SHOWN = {
    "3": (SHOWN_3, _FORMULAS),
    "4": (SHOWN_4, _OUTCOMES),
    "6": (SHOWN_6, _OUTCOMES),
    "7": (SHOWN_7, _OUTCOMES),
    "11": (SHOWN_11, _OUTCOMES),
}


@dataclass(frozen=True)
class Answers:
    """The answers of one target to some calls of one signature, and which of them are ``open``: by the call's number
    and the output, usable and not judged."""

    target: str
    declared: Declared
    outcomes: Sequence[Outcome]
    open: Collection[Key]


def observe_regular(calls: Sequence[Call], several: Sequence[Answers]) -> list[dict[Key, Observation]]:
    """Observe, for each target, the open answers that pass; all of its targets share what is computed.

    Those that do not pass (but for large calls), or that ask for more precision, are not among them. The targets have
    one ``mean``.
    """
    found: list[dict[Key, Observation]] = [{} for _ in several]
    # Those that the pass does not judge take nothing from the others.
    places = [t for t, a in enumerate(several) if is_for_the_pass(a.declared)]
    several = [several[t] for t in places]
    asked = sorted({(i, name) for a in several for i, name in a.open if name in OUTPUTS})
    if not asked:
        return found
    names, numbers = {name for _, name in asked}, sorted({i for i, _ in asked})
    batch = stack([_plain(solved_by(calls[i].problem, several[0].declared.mean), names) for i in numbers])
    graded = max(batch.k, batch.n) >= GRADED_TERMS and any(calls[i].random_order for i in numbers)
    step = max(1, _MOST_TOGETHER // (len(names) * batch.x.nbytes + 1))
    for start in range(0, len(several), step):
        some = several[start : start + step]
        answers = {name: _answers(name, calls, some, numbers) for name in names if _is_open(name, some)}
        summaries = judge_regular(batch, answers, [a.declared for a in some], random=graded)
        if summaries is None:
            break
        for t, a in enumerate(some):
            of_target = _OfTarget.of(summaries, t, a.declared.profile)
            for place, i in enumerate(numbers):
                for n, name in enumerate(OUTPUTS):
                    if (i, name) in a.open and summaries.regular[n, place]:
                        o = _observed(calls[i], name, a, of_target, answers[name][t, place], place, a.outcomes[i])
                        if o is not None:
                            found[places[start + t]][i, name] = o
    return found


def _plain(p: Problem, names: Collection[str]) -> Problem:
    """The problem with nothing but what its value, and its VJP if that is asked, depend on."""
    if set(p.want) == set(names):
        return p
    cotangent = p.cotangent if "vjp" in names else None
    return replace(p, cotangent=cotangent, tangent=None, target_tangent=None, wrt_target=False, repeat_backward=False)


def _is_open(name: str, several: Sequence[Answers]) -> bool:
    return any(name == other for a in several for _, other in a.open)


def _answers(name: str, calls: Sequence[Call], several: Sequence[Answers], numbers: Sequence[int]) -> F64:
    """The open answers of the targets in the batch's layout (T, B, ...), NaN for the others."""
    found = None
    for t, a in enumerate(several):
        for place, i in enumerate(numbers):
            if (i, name) in a.open:
                one = flat(a.outcomes[i].outputs[name].data, calls[i].problem)
                if found is None:
                    if len(several) == len(numbers) == 1:
                        return one[None, None]
                    found = np.full((len(several), len(numbers), *one.shape), np.nan)
                found[t, place] = one
    # sanity check: an output is asked for because somebody's is open
    assert found is not None
    return found


@dataclass(frozen=True)
class _OfTarget:
    """What the pass found of one target: by profile, the place of its model, and that of randomly ordered terms."""

    found: F64
    places: Mapping[str, int]
    random: int | None

    @classmethod
    def of(cls, summaries: Summaries, t: int, declared: str) -> _OfTarget:
        asked = [(m, model) for m, model in enumerate(summaries.models) if summaries.asked[t, m]]
        places = {model.profile: m for m, model in asked if not model.random}
        random = next((m for m, model in asked if model.random and model.profile == declared), None)
        return cls(summaries.found[t], places, random)


def _observed(
    call: Call, name: str, a: Answers, f: _OfTarget, got: F64, place: int, outcome: Outcome
) -> Observation | None:
    """The observation of an output that is within its bounds for certain; of a large call also of one that is not.

    Arrays that say more of a failure, or of what is undecided, would take many times the memory of a large call.
    """
    by_model = f.found[OUTPUTS.index(name), place]
    declared = by_model[f.places[a.declared.profile]].tolist()
    random = f.random if call.random_order else None
    p, worst = call.problem, int(declared[WORST])
    shown = shown_by(declared)
    at = (worst,) if got.ndim == 1 else divmod(worst, got.shape[1])
    verdict = "convention" if shown else "pass"
    if random is not None and not by_model[random, OK]:
        verdict = "suspect"
    if not declared[OK]:
        # An entry beyond the first of two accepted results may be at the bound of the second.
        is_open = declared[UNDECIDED] and p.has_probability_target
        verdict = "fail" if not is_open and _is_beyond(float(got[at]), declared) else ""
    elif declared[UNDECIDED]:
        verdict = ""
    if not verdict or (verdict not in ("pass", "convention") and p.x.size <= LARGE):
        return None
    axis = p.axis % p.x.ndim
    o = Observation(
        call.id,
        name,
        a.target,
        verdict,
        share=declared[SHARE],
        ulp=declared[ULP],
        index=own_index(at, p, name),
        got=float(got[at]),
        exact=outward(declared[MID], declared[LOW], declared[RAD]),
        allowed=declared[ALLOWED],
        conventions=shown | ({TAIL: RELATIVE if declared[ACCURATE] else ABSOLUTE} if declared[GRADED] else {}),
        profile=a.declared.profile,
        met=next((s for s in STRICTNESS if s in f.places and by_model[f.places[s], OK]), ""),
        bits=bits_digest(got),
        seconds=outcome.seconds,
        note=outcome.note,
        rows=p.x.size // p.x.shape[axis],
        classes=p.x.shape[axis],
        reduction=p.reduction if p.is_loss else "",
    )
    if verdict in ("pass", "convention"):
        return o
    return replace(o, message=message(call.with_problem(solved_by(p, a.declared.mean)), o), call=call)


def shown_by(summary: Sequence[float]) -> dict[str, str]:
    """The behaviours that an output shows, by clause, as ``judge.conventions`` has them, without needless excuses."""
    found = {}
    for clause, (field, names) in _SHOWN.items():
        bits = int(summary[field])
        if bits:
            found[clause] = "|".join(sorted(name for bit, name in names.items() if bits & bit))
    return without_excuses(found)


def _is_beyond(got: float, summary: Sequence[float]) -> bool:
    """Say whether the worst entry of a summary is beyond its bound, wherever in its enclosure the exact result is."""
    return not abs((got - summary[MID]) - summary[LOW]) - summary[RAD] <= summary[ALLOWED]
