"""The kill matrix judges by a shorter path than the engine (``matrix/fast_judging.py``): both say the same."""

from __future__ import annotations

import pytest

pytest.importorskip("ml_dtypes", reason="mutants compute in bfloat16, which NumPy has from ml_dtypes")

from lossproof.adapters.protocol import Outcome
from lossproof.cases.catalogue import select
from lossproof.core.call import Call
from lossproof.core.clauses import TAIL
from lossproof.core.observation import FAILING, Observation
from lossproof.judging.check import Check
from lossproof.judging.observe import observe
from lossproof.running.group_judge import truths_of
from lossproof.running.loop import groups, run
from tests.mutants.kit.mutant import Mutant
from tests.mutants.matrix.fast_judging import judged
from tests.mutants.matrix.kill import takes
from tests.mutants.matrix.outcomes import answer
from tests.mutants.matrix.places import Answered
from tests.mutants.matrix.play import declared
from tests.mutants.matrix.registry import collect
from tests.mutants.matrix.search import matrix

MUTANTS = collect()
# One in so many of all mutants and controls, whatever there is: about forty.
_ONE_IN = 19
SOME = list(MUTANTS)[::_ONE_IN]
NAMED = [
    "upstream cross_entropy: one-hot times log-probabilities",
    "upstream nll_loss: bounds checked in the reduced branch only",
    "upstream log_softmax: no gradient",
    "control cross_entropy: mean over kept rows",
    "control log_softmax: online blocks of 5",
]
EACH = list(dict.fromkeys([*NAMED, *SOME]))


Said = dict[tuple[str, str], tuple[bool, float, dict[str, str]]]


@pytest.fixture(scope="module")
def deck() -> list[Call]:
    return select("smoke")


@pytest.fixture(scope="module")
def said(deck: list[Call]) -> dict[str, tuple[Said, Said]]:
    """Of each implementation, what is said of each output: in the matrix, where all are judged together, and by the
    engine."""
    found: dict[str, tuple[Said, Said]] = {name: ({}, {}) for name in EACH}
    for calls in groups(c for c in deck if not isinstance(c, Check)):
        problems = [c.problem for c in calls]
        several = [MUTANTS[name] for name in EACH if takes(MUTANTS[name], problems[0])]
        truths = truths_of(problems, {m.mean for m in several})
        answered = [Answered(declared(m, problems[0].dtype), dict(enumerate(_afresh(m, calls)))) for m in several]
        for m, one, fast in zip(several, answered, judged(calls, answered), strict=True):
            outcomes = list(one.outcomes.values())
            full = observe(calls, truths[m.mean], outcomes, m.id, one.declared)
            found[m.id][0].update({(f.call.id, f.output): (f.failed, f.share, f.conventions) for f in fast})
            found[m.id][1].update(
                {
                    (o.id, o.output): (o.verdict in FAILING, o.share, _choices(o))
                    for o in full
                    if o.verdict != "unsupported"
                }
            )
    return found


@pytest.mark.parametrize("name", EACH)
def test_every_output_is_judged_as_the_engine_judges_it(name: str, said: dict[str, tuple[Said, Said]]) -> None:
    """Verdict, share of the bound and conventions, output by output."""
    fast, full = said[name]
    if not full:
        pytest.skip("no call of the smoke deck applies to it")
    assert fast.keys() == full.keys()
    for key, (failed, share, conventions) in full.items():
        assert (fast[key][0], fast[key][2]) == (failed, conventions), key
        # The compiled pass rounds in another order.
        assert fast[key][1] == pytest.approx(share, rel=1e-6, abs=1e-6), key


def _choices(o: Observation) -> dict[str, str]:
    """The conventions without the grade of small results, which is no part of a verdict."""
    return {clause: shown for clause, shown in o.conventions.items() if clause != TAIL}


def _afresh(mutant: Mutant, calls: list[Call]) -> list[Outcome]:
    if mutant.restart:
        mutant.restart()
    adapter = mutant.adapter()
    return [answer(adapter, c.problem) for c in calls]


@pytest.mark.parametrize("name", NAMED)
def test_a_whole_run_of_the_engine_fails_as_often(name: str, deck: list[Call]) -> None:
    """Relations and error calls included."""
    mutant = MUTANTS[name]
    calls = [c for c in deck if takes(mutant, c.problem)]
    lean = matrix({name: mutant}, deck, processes=1, every_call=True)
    failing = [o for o in run([mutant.target()], calls) if o.verdict in FAILING]
    assert sum(kill.failing for kill in lean.values()) == len(failing)
    # sanity check: wrong ones fail
    assert bool(failing) == (mutant.kind == "mutant")
