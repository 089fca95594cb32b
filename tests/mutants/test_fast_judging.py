"""The kill matrix judges by a shorter path than the engine (``matrix/fast_judging.py``): both say the same."""

from __future__ import annotations

import pytest

pytest.importorskip("ml_dtypes", reason="mutants compute in bfloat16, which NumPy has from ml_dtypes")

from lossproof.adapters.protocol import Outcome
from lossproof.cases.catalogue import select
from lossproof.core.call import Call
from lossproof.core.clauses import TAIL
from lossproof.core.observation import FAILING, Observation
from lossproof.core.profiles import Declared, default_profile
from lossproof.judging.check import Check
from lossproof.judging.observe import observe
from lossproof.running.group_judge import truths_of
from lossproof.running.loop import groups, run
from tests.mutants.kit.mutant import Mutant
from tests.mutants.matrix.fast_judging import answers, found
from tests.mutants.matrix.kill import matrix, takes
from tests.mutants.matrix.registry import collect

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


@pytest.fixture(scope="module")
def deck() -> list[Call]:
    return select("smoke")


@pytest.mark.parametrize("name", dict.fromkeys([*NAMED, *SOME]))
def test_every_output_is_judged_as_the_engine_judges_it(name: str, deck: list[Call]) -> None:
    """Verdict, share of the bound and conventions, output by output."""
    mutant = MUTANTS[name]
    values = [c for c in deck if not isinstance(c, Check) and takes(mutant, c.problem)]
    if not values:
        pytest.skip("no call of the smoke deck applies to it")
    for group in groups(values):
        calls = list(group)
        problems = [c.problem for c in calls]
        exact = truths_of(problems, {mutant.mean})[mutant.mean]
        dtype = problems[0].dtype
        declared = Declared(mutant.profiles.get(dtype, default_profile(dtype)), mutant.online, mutant.mean)
        outcomes = _afresh(mutant, calls)
        fast = {
            (f.call.id, f.output): (f.failed, f.share, f.conventions) for f in found(calls, exact, outcomes, declared)
        }
        said = observe(calls, exact, outcomes, name, declared)
        full = {
            (o.id, o.output): (o.verdict in FAILING, o.share, _choices(o)) for o in said if o.verdict != "unsupported"
        }
        assert fast == full


def _choices(o: Observation) -> dict[str, str]:
    """The conventions without the grade of small results, which is no part of a verdict."""
    return {clause: shown for clause, shown in o.conventions.items() if clause != TAIL}


def _afresh(mutant: Mutant, calls: list[Call]) -> list[Outcome]:
    if mutant.restart:
        mutant.restart()
    return answers(mutant.adapter(), [c.problem for c in calls])


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
