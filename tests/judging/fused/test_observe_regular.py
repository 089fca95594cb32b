"""Observations are the same with and without a compiler, alone and among others, and it is used where it can be."""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from lossproof.adapters import local
from lossproof.adapters.numpy import ADAPTER
from lossproof.adapters.protocol import Outcome
from lossproof.core.call import Call
from lossproof.core.observation import Observation
from lossproof.core.profiles import Declared
from lossproof.judging.fused import compiler
from lossproof.judging.fused import observe_regular as module
from lossproof.judging.fused.observe_regular import Answers, observe_regular
from lossproof.judging.observe import observe
from lossproof.running.loop import groups
from lossproof.truth.truth import truth
from tests.support.decks import drawn
from tests.support.thinned import at_least, thinned

pytestmark = pytest.mark.skipif(bool(compiler.missing()), reason=compiler.missing() or "-")

ELEMENTS = 1 << 12


@functools.cache
def sample() -> list[list[Call]]:
    """Stacks of several calls, and calls that are alone, of every tenth signature."""
    several = [g for g in groups(drawn()) if g[0].outline.x.size <= ELEMENTS]
    return thinned([g for g in several if len(g) > 1][::10] + [g for g in several if len(g) == 1][::25], to=8)


def answer(call: Call, *, off: float) -> Outcome:
    found = local.answer(ADAPTER, call.problem, "cpu", "eager")
    return replace(found, outputs={k: replace(t, data=t.data * (1 + off)) for k, t in found.outputs.items()})


def compiled(
    calls: Sequence[Call], outcomes: Sequence[Outcome], declared: Declared
) -> dict[tuple[int, str], Observation]:
    usable = {(i, name) for i, o in enumerate(outcomes) if o.error is None for name in o.outputs}
    (found,) = observe_regular(calls, [Answers("numpy", declared, outcomes, usable)])
    return found


def differ(one: Observation, other: Observation) -> list[str]:
    """The fields in which two observations differ by more than roundings."""
    found = []
    for name in ("id", "output", "target", "verdict", "got", "message", "conventions", "profile", "met", "bits"):
        a, b = getattr(one, name), getattr(other, name)
        # NaN is itself here.
        if repr(a) != repr(b) and one.index == other.index:
            found.append(name)
    for name in ("rows", "classes", "reduction", "seconds", "note", "call"):
        if getattr(one, name) != getattr(other, name):
            found.append(name)
    if not math.isclose(one.share, other.share, rel_tol=1e-6, abs_tol=1e-6):
        found.append("share")
    return found


@pytest.mark.parametrize("off", [0.0, 2.0**-9])
def test_observations_are_the_same_with_and_without(off: float) -> None:
    seen = 0
    for calls in sample():
        outcomes = [answer(c, off=off) for c in calls]
        for declared in (Declared("W"), Declared("N", online=True)):
            found = compiled(calls, outcomes, declared)
            if not found:
                continue
            said = observe(calls, truth([c.problem for c in calls]), outcomes, "numpy", declared)
            by_key = {(o.id, o.output): o for o in said}
            for (i, name), o in found.items():
                assert not differ(o, by_key[calls[i].id, name]), f"{o.id} {name}"
                seen += 1
    assert seen > at_least(500, to=8)


def test_what_does_not_pass_stays_open() -> None:
    """A wrong answer is none of the pass's."""
    calls = [c for g in sample() for c in g][: at_least(200, to=8)]
    for call in calls:
        found = compiled([call], [answer(call, off=0.5)], Declared("N"))
        said = observe([call], truth([call.problem]), [answer(call, off=0.5)], "numpy", Declared("N"))
        failing = {o.output for o in said if o.verdict not in ("pass", "convention")}
        assert not failing & {name for _, name in found}, call.id


def test_neighbours_and_other_targets_change_nothing() -> None:
    """To the bit: alone, in the stack, in the stack shuffled, and beside other targets of other profiles, also of one
    that the pass does not judge."""
    seen = 0
    for calls in sample()[: at_least(60, to=8)]:
        outcomes = [answer(c, off=0.0) for c in calls]
        together = {calls[i].id + name: o for (i, name), o in compiled(calls, outcomes, Declared("N")).items()}
        order = list(range(len(calls)))
        random.Random(len(calls)).shuffle(order)
        mixed = [calls[i] for i in order]
        usable = {(i, name) for i, o in enumerate(outcomes) for name in o.outputs}
        by_arrays, _, beside = observe_regular(
            mixed,
            [
                Answers("native", Declared("S"), [outcomes[i] for i in order], usable),
                Answers("other", Declared("W"), [answer(c, off=2.0**-30) for c in mixed], usable),
                Answers("numpy", Declared("N"), [outcomes[i] for i in order], usable),
            ],
        )
        assert by_arrays == {}
        assert {mixed[i].id + name: repr(replace(o, seconds=0)) for (i, name), o in beside.items()} == {
            key: repr(replace(o, seconds=0)) for key, o in together.items()
        }
        for call, outcome in zip(calls, outcomes, strict=True):
            for (_, name), o in compiled([call], [outcome], Declared("N")).items():
                assert repr(o) == repr(together[call.id + name])
                seen += 1
    assert seen > at_least(100, to=8)


def test_large_answers_are_judged_some_targets_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """And to the bit as all together, whoever is asked what."""
    seen = 0
    for calls in sample()[2:15]:
        right, other = ([answer(c, off=off) for c in calls] for off in (0.0, 2.0**-30))
        several = [
            Answers("value", Declared("N"), right, {(i, "value") for i, _ in enumerate(calls)}),
            Answers("vjp", Declared("W"), right, {(i, "vjp") for i, o in enumerate(right) if "vjp" in o.outputs}),
            Answers("both", Declared("N"), other, {(i, name) for i, o in enumerate(other) for name in o.outputs}),
            Answers("none", Declared("N"), right, ()),
        ]
        together = observe_regular(calls, several)
        assert together[3] == {}
        with monkeypatch.context() as patch:
            patch.setattr(module, "_MOST_TOGETHER", 1)
            assert repr(observe_regular(calls, several)) == repr(together)
        for one, found in zip(several, together, strict=True):
            assert repr(observe_regular(calls, [one])) == repr([found])
        seen += sum(map(len, together))
    assert seen > 70


@pytest.mark.parametrize("op", ["softmax", "log_softmax", "nll_loss", "cross_entropy"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_cotangent_that_is_too_large_is_no_matter_to_the_value(op: str, dtype: str) -> None:
    """Whether somebody else is asked for the VJP changes no digit of a value: both are judged in the pass."""
    own = (c for c in drawn() if (c.outline.op, c.outline.dtype) == (op, dtype) and c.outline.x.size <= 64)
    found = 0
    for call in own:
        p = call.problem
        if p.cotangent is None or not p.cotangent.size:
            continue
        largest = np.finfo(np.float64 if dtype == "float64" else np.float32).max
        call = call.with_problem(replace(p, cotangent=np.full_like(p.cotangent, largest)))
        outcome = answer(call, off=0.0)
        (alone,) = observe_regular([call], [Answers("numpy", Declared("N"), [outcome], {(0, "value")})])
        beside, _ = observe_regular(
            [call],
            [
                Answers("numpy", Declared("N"), [outcome], {(0, "value")}),
                Answers("other", Declared("N"), [outcome], {(0, "value"), (0, "vjp")}),
            ],
        )
        assert repr(alone) == repr(beside)
        found += bool(alone)
        if found == 3:
            break
    assert found == 3


def test_most_of_the_deck_is_regular() -> None:
    calls = [c for g in sample() for c in g]
    passed = sum(bool(compiled([c], [answer(c, off=0.0)], Declared("N"))) for c in calls)
    assert passed > 0.6 * len(calls)
