"""A verdict depends on the call, the answer and the target, not on the calls that are stacked with it.

Calls of every family are judged alone, in the stack that a run makes of them, and in that stack shuffled. What is
judged are a right answer, and answers that are wrong in a way that a neighbour could excuse.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from lossproof.adapters import local
from lossproof.adapters.numpy import ADAPTER
from lossproof.adapters.protocol import Outcome, Problem
from lossproof.cases.families import FAMILIES
from lossproof.core.call import Call
from lossproof.core.observation import Observation
from lossproof.core.profiles import Declared
from lossproof.judging.observe import observe
from lossproof.running.loop import groups
from lossproof.truth.truth import Truth, truth
from tests.support.decks import drawn
from tests.support.thinned import at_least, thinned

ELEMENTS = 1 << 14


def right(call: Call) -> Outcome:
    return local.answer(ADAPTER, call.problem, "cpu", "eager")


def off(call: Call) -> Outcome:
    """The right answer, every entry off by a few roundings of float16."""
    found = right(call)
    return replace(found, outputs={k: replace(t, data=t.data * (1 + 2.0**-9)) for k, t in found.outputs.items()})


def unscaled(call: Call) -> Outcome:
    """The gradient ``p - w q'``, also where targets sum to 1."""
    p, found = call.problem, right(call)
    if p.op != "cross_entropy" or not p.has_probability_target or "vjp" not in found.outputs or p.weight is None:
        return found
    axis = p.axis % p.x.ndim
    x, q = (np.moveaxis(a, axis, -1) for a in (p.x, given(p.target)))
    soft = local.answer(ADAPTER, Problem("softmax", p.dtype, x), "cpu", "eager").outputs["value"].data
    slope = soft - p.weight * ((1 - p.label_smoothing) * q + p.label_smoothing / x.shape[-1])
    g = given(p.cotangent)[..., None] / (1 if p.reduction != "mean" else max(1, x[..., 0].size))
    wrong = np.moveaxis(slope * g, -1, axis)
    return replace(found, outputs={**found.outputs, "vjp": replace(found.outputs["vjp"], data=wrong)})


def given(a: np.ndarray | None) -> np.ndarray:
    assert a is not None
    return a


def sample() -> Iterator[list[Call]]:
    """Stacks of the default deck, by chance, until every family has been met in every dtype and op that has it."""
    stacks = [several for several in groups(drawn()) if len(several) > 1]
    stacks = [several for several in stacks if several[0].outline.x.size <= ELEMENTS]
    missing = {key(call) for several in stacks for call in several}
    assert {name for name, _, _ in missing} == {*FAMILIES, "golden"}
    random.Random(0).shuffle(stacks)
    for several in stacks:
        if any(key(call) in missing for call in several):
            missing -= {key(call) for call in several}
            yield several


def key(call: Call) -> tuple[str, str, str]:
    return call.family, call.outline.dtype, call.outline.op


def judged(
    calls: Sequence[Call], answers: dict[str, Outcome], exact: Truth | None = None
) -> dict[tuple[str, str], Observation]:
    declared = Declared("N" if calls[0].problem.dtype in ("float16", "bfloat16") else "W")
    exact = exact or truth([call.problem for call in calls])
    found = observe(calls, exact, [answers[call.id] for call in calls], "numpy", declared)
    return {(o.id, o.output): o for o in found}


def bits(found: dict[tuple[str, str], Observation]) -> dict[tuple[str, str], str]:
    """Observations as texts, which hold every number to the bit; NaN is equal to itself in them. Of the call, which is
    the same object, it is said whether it is kept."""
    return {key: f"{o.call is None} {replace(o, call=None)!r}" for key, o in found.items()}


def test_a_verdict_does_not_depend_on_the_stack() -> None:
    """Neither of a right answer nor of a wrong one. A truth is computed once for all of them, of each stack."""
    seen = dict.fromkeys((right, off, unscaled), 0)
    for calls in thinned(sample(), to=25):
        shuffled = list(calls)
        random.Random(len(calls)).shuffle(shuffled)
        stacks = [calls, shuffled, *([call] for call in calls)]
        truths = [truth([call.problem for call in several]) for several in stacks]
        for answer in seen:
            answers = {call.id: answer(call) for call in calls}
            together, again, *alone = (
                bits(judged(several, answers, exact)) for several, exact in zip(stacks, truths, strict=True)
            )
            assert again == together
            for one in alone:
                assert one == {key: together[key] for key in one}
                seen[answer] += len(one)
    # sanity check: the loops are not empty
    assert min(seen.values()) > at_least(1000, to=25)


def test_the_wrong_gradient_fails_beside_targets_of_any_sum() -> None:
    """Targets that sum to 1 have one gradient, whatever the other rows of the call and the other calls hold."""
    x = np.array([[0.5, -1.0, 2.0], [1.0, 0.0, -0.5]])
    one, half = np.array([[0.25, 0.25, 0.5]]), np.array([[0.25, 0.0, 0.25]])
    weight, ones = np.array([0.5, 2.0, 3.0]), np.ones(2)
    for first, second in itertools.product((one, half), repeat=2):
        p = Problem("cross_entropy", "float32", x, np.concatenate([first, second]), weight, ones, reduction="none")
        call = Call(p, "ordinary")
        found = judged([call], {call.id: unscaled(call)})[call.id, "vjp"]
        assert (found.verdict == "fail") == (first is one or second is one), found
