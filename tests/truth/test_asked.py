"""The truth of some outputs is that of all of them, to the bit: what else is asked decides nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from lossproof.adapters.protocol import Problem
from lossproof.core.call import Call
from lossproof.running.loop import groups
from lossproof.truth.asked import narrowed_to
from lossproof.truth.truth import Truth, truth
from tests.support.decks import drawn
from tests.support.thinned import at_least, thinned

ELEMENTS = 1 << 8


def stacks() -> Iterator[list[Call]]:
    """Of every op, dtype, family and set of outputs one stack of the default deck."""
    seen: set[tuple[object, ...]] = set()
    for several in groups(drawn()):
        p = several[0].outline
        key = p.op, p.dtype, p.want
        new = {(*key, call.family) for call in several} - seen
        if new and len(p.want) > 1 and p.x.size <= ELEMENTS:
            seen |= new
            yield several


def bits(exact: Truth, name: str) -> list[bytes]:
    """What the truth says of an output, every number to the bit."""
    expected, tail = exact.expected[name], exact.tail(name, "W")
    enclosures = [e for e in (expected.exact, expected.other) if e is not None]
    found: list[np.ndarray] = [a for e in enclosures for a in (e.mid, e.low, e.rad)]
    found += [expected.accept, expected.clause, expected.strict]
    found += [exact.allowed(profile).outputs[name] for profile in ("W", "N")]
    found += [tail.graded, tail.exact, tail.allowed] if tail is not None else []
    return [a.tobytes() for a in found]


@np.errstate(all="ignore")
def test_what_else_is_asked_changes_no_bit() -> None:
    compared = 0
    for calls in thinned(stacks(), to=24):
        problems = [call.problem for call in calls]
        whole = truth(problems)
        want = problems[0].want
        several = [set(some) for n in (1, 2) for some in itertools.combinations(want, n)]
        for outputs in several:
            few = narrowed_to(problems, outputs)
            part = truth(few)
            assert set(part.expected) >= outputs
            for name in part.expected:
                assert bits(part, name) == bits(whole, name), (calls[0].id, name, outputs)
                compared += 1
    assert compared > at_least(1700, to=24)


def test_everything_is_left_as_it_is() -> None:
    p = Problem("softmax", "float32", np.ones((1, 2)), cotangent=np.ones((1, 2)))
    assert narrowed_to([p], {"vjp"}) == [p]


def test_directions_that_nobody_needs_are_gone() -> None:
    x = np.ones((1, 2))
    p = Problem("log_softmax", "float32", x, cotangent=x, tangent=x, repeat_backward=True)
    (few,) = narrowed_to([p], {"vjp"})
    assert few.want == ("value", "vjp")
    assert few.tangent is None
    (value,) = narrowed_to([p], {"value"})
    assert value.want == ("value",)
    assert value.cotangent is None
    (again,) = narrowed_to([p], {"vjp_again"})
    assert again.want == ("value", "vjp", "vjp_again")
    assert again.tangent is None


@pytest.mark.parametrize("size", [1.0, 2.0**1000])
def test_a_direction_that_decides_the_number_system_stays(size: float) -> None:
    x = np.ones((1, 2))
    p = Problem("softmax", "float64", x, cotangent=x, tangent=x * size)
    (few,) = narrowed_to([p], {"vjp"})
    assert (few.tangent is None) == (size == 1.0)
