"""One group of calls, put to some mutants and controls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from lossproof.adapters.protocol import Outcome, Problem
from lossproof.core.call import Call
from lossproof.core.observation import FAILING
from lossproof.core.profiles import Declared, default_profile
from lossproof.judging.check import Check, Exact
from lossproof.judging.check import play as play_check
from lossproof.running.convention_ledger import Ledger
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.sharing import shared_steps

from .fast_judging import judged
from .kill import Kill, Matrix, goes_everywhere, label, reference
from .outcomes import Asked, Given, OfGiven, depends_on_arguments_alone, forget, outcomes
from .places import Answered


def play(calls: Sequence[Call], asked: Asked, mutants: Mapping[str, Mutant]) -> Matrix:
    """What the calls of one group make of mutants and controls, by id and dtype."""
    if isinstance(calls[0], Check):
        return _play_check(calls[0], [mutants[name] for name in asked], mutants)
    dtype = calls[0].outline.dtype
    answers = outcomes(calls, asked, mutants)
    several = [
        Answered(declared(mutants[name], dtype), answers[name], alike=goes_everywhere(mutants[name])) for name in asked
    ]
    result: Matrix = {}
    for name, found in zip(asked, judged(calls, several), strict=True):
        mutant = mutants[name]
        kill, ledger, failing = Kill(), Ledger(name), set()
        for f in found:
            kill.note(f, ledger)
            if f.failed:
                failing.add(f.call.id)
        kill.killers = [reference(calls[i]) for i in asked[name] if calls[i].id in failing] if failing else []
        kill.seen = ledger.seen
        if mutant.allowed:
            parent = answers.get(mutant.reference, {})
            if not parent.keys() >= answers[name].keys():
                parent = outcomes(calls, {mutant.reference: asked[name]}, mutants)[mutant.reference]
            for i, mine in answers[name].items():
                kill.differing[calls[i].family] += _unlike([mine], [parent[i]])
            kill.differing = +kill.differing
        result[name, dtype] = kill
    return result


def declared(mutant: Mutant, dtype: str) -> Declared:
    """What a mutant declares."""
    return Declared(mutant.profiles.get(dtype, default_profile(dtype)), mutant.online, mutant.mean)


def _play_check(check: Check, several: Sequence[Mutant], mutants: Mapping[str, Mutant]) -> Matrix:
    """Relations and error calls judge themselves."""
    exact, heard = Exact(), {}
    given: dict[Problem, Given] = {}
    with shared_steps():
        for mutant in several:
            if depends_on_arguments_alone(mutant):
                heard[mutant.id] = play_check(check, OfGiven(mutant.adapter(), given=given), exact)
    result = {}
    for mutant in several:
        if mutant.id not in heard:
            forget(mutant)
            heard[mutant.id] = play_check(check, mutant.target(), exact)
        hearing, kill = heard[mutant.id], Kill()
        for o in check.judge(hearing):
            if o.verdict == "unsupported":
                continue
            bad = o.verdict in FAILING
            kill.add(Kill(1, int(bad), o.share if bad else 0.0, o.message, Counter([label(check)] if bad else [])))
        kill.killers = [reference(check)] if kill.killed else []
        if mutant.allowed:
            # Asked in the same way, so that messages are alike, too.
            of = mutants[mutant.reference]
            asked = OfGiven(of.adapter(), given=given) if depends_on_arguments_alone(mutant) else of.target()
            parent = play_check(check, asked, exact)
            kill.differing[label(check)] += _unlike(hearing.outcomes, parent.outcomes)
            kill.differing = +kill.differing
        result[mutant.id, check.outline.dtype] = kill
    return result


def _unlike(mine: Sequence[Outcome], parents: Sequence[Outcome]) -> bool:
    """Whether any outcome differs in kind, or any value in its bits."""
    return any(
        (a.error, dict(a.failures)) != (b.error, dict(b.failures))
        or any(
            not np.array_equal(a.outputs[name].data, b.outputs[name].data, equal_nan=True)
            for name in set(a.outputs) & set(b.outputs)
        )
        for a, b in zip(mine, parents, strict=False)
    )
