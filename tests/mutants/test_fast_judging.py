"""The kill matrix judges by a shorter path than the engine (``matrix/fast_judging.py``): both say the same."""

from __future__ import annotations

import pytest

pytest.importorskip("ml_dtypes", reason="mutants compute in bfloat16, which NumPy has from ml_dtypes")

from lossproof.adapters.protocol import DTYPES, Outcome
from lossproof.cases.catalogue import select
from lossproof.core.call import Call
from lossproof.core.clauses import TAIL
from lossproof.core.observation import FAILING, Observation
from lossproof.core.operations import OPERATIONS
from lossproof.judging.check import Check
from lossproof.judging.observe import observe
from lossproof.running.group_judge import truths_of
from lossproof.running.loop import groups, run
from tests.mutants.kit.mutant import Mutant
from tests.mutants.matrix.fast_judging import judged
from tests.mutants.matrix.kill import takes
from tests.mutants.matrix.outcomes import answer, outcomes
from tests.mutants.matrix.places import Answered, Found
from tests.mutants.matrix.play import declared
from tests.mutants.matrix.registry import collect
from tests.mutants.matrix.search import matrix
from tests.support.thinned import WHOLE, nightly

MUTANTS = collect()
# One in so many of all mutants and controls, whatever there is: about forty, or eight.
_ONE_IN = 19 if WHOLE else 95
# Calls among which one is put to all controls.
_EVERY = 5
SOME = list(MUTANTS)[::_ONE_IN]
NAMED = [
    "upstream cross_entropy: one-hot times log-probabilities",
    "upstream nll_loss: bounds checked in the reduced branch only",
    "upstream log_softmax: no gradient",
    "control cross_entropy: mean over kept rows",
    "control log_softmax: online blocks of 5",
]
WRONG = (
    "upstream cross_entropy: one-hot times log-probabilities",
    "upstream nll_loss: nll: largest log-probability",
    "upstream softmax: minimum subtracted",
    "log_softmax: result*(1+0.0001)",
)
EACH = list(dict.fromkeys([*NAMED, *SOME]))


Said = dict[tuple[str, str], tuple[bool, float, dict[str, str]]]


@pytest.fixture(scope="module")
def deck() -> list[Call]:
    return select("smoke", dtypes=DTYPES if WHOLE else ("float32", "float16"))


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


@pytest.mark.parametrize("op", OPERATIONS)
def test_controls_that_take_turns_answer_what_each_answers_alone(op: str, deck: list[Call]) -> None:
    """They share arrays and steps then."""
    several = {m.id: m for m in MUTANTS.values() if m.kind == "control" and m.op == op}
    compared = 0
    for calls in groups([c for c in deck if c.outline.op == op and not c.is_check][::_EVERY]):
        asked = {name: [0] for name, m in several.items() if takes(m, calls[0].outline)}
        for name, found in outcomes(calls, asked, MUTANTS).items():
            alone = answer(several[name].adapter(), calls[0].problem)
            assert (found[0].error, found[0].failures) == (alone.error, alone.failures)
            assert found[0].outputs.keys() == alone.outputs.keys()
            for output, mine in found[0].outputs.items():
                theirs = alone.outputs[output]
                assert mine.dtype == theirs.dtype, (calls[0].id, name, output)
                assert mine.data.tobytes() == theirs.data.tobytes(), (calls[0].id, name, output)
                compared += 1
    assert compared > 10


@pytest.mark.parametrize("op", OPERATIONS)
def test_controls_that_are_judged_by_the_ends_of_their_answers_are_judged_as_alone(op: str, deck: list[Call]) -> None:
    """So is a wrong one among them, whatever the others answer."""
    controls = [m for m in MUTANTS.values() if m.kind == "control" and m.op == op and not m.restart]
    wrong = next(MUTANTS[name] for name in (*WRONG, *MUTANTS) if MUTANTS[name].op == op and MUTANTS[name].expect)
    failing = 0
    for calls in groups([c for c in deck if c.outline.op == op and not c.is_check][::_EVERY]):
        p = calls[0].outline
        several = [m for m in (*controls, wrong) if takes(m, p)]
        answers = [dict(enumerate(_afresh(m, calls))) for m in several]
        together, alone = (
            judged(calls, [Answered(declared(m, p.dtype), a, alike) for m, a in zip(several, answers, strict=True)])
            for alike in (True, False)
        )
        for mine, theirs in zip(together, alone, strict=True):
            assert _verdicts(mine) == _verdicts(theirs)
            failing += sum(f.failed for f in mine)
    assert failing > 0


def _verdicts(several: list[Found]) -> dict[tuple[str, str], tuple[bool, dict[str, str]]]:
    return {(f.call.id, f.output): (f.failed, f.conventions) for f in several}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=nightly if name.endswith("kept rows") else ()) for name in NAMED]
)
def test_a_whole_run_of_the_engine_fails_as_often(name: str, deck: list[Call]) -> None:
    """Relations and error calls included."""
    mutant = MUTANTS[name]
    deck = [c for c in deck if WHOLE or c.outline.dtype == "float32"]
    calls = [c for c in deck if takes(mutant, c.outline)]
    lean = matrix({name: mutant}, deck, processes=1, every_call=True)
    failing = [o for o in run([mutant.target()], calls) if o.verdict in FAILING]
    assert sum(kill.failing for kill in lean.values()) == len(failing)
    # sanity check: wrong ones fail
    assert bool(failing) == (mutant.kind == "mutant")
