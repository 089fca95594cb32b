"""An output fails for its own reason: what raises for another one, or is not on offer, is none of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import Capabilities, Outcome, Problem, Tensor
from lossproof.cases.catalogue import select
from lossproof.core.call import Call
from lossproof.core.case_id import RELATION
from lossproof.core.profiles import Declared
from lossproof.judging.messages import told_apart
from lossproof.judging.observe import observe
from lossproof.running.loop import run
from lossproof.targets.target import Target
from lossproof.truth.truth import truth


class Refusing(NumpyAdapter):
    """NumPy's adapter, which refuses what ``when`` says, and remembers what it was asked."""

    name = "refusing"

    def __init__(self, when: Callable[[Problem], bool], **declared: object) -> None:
        super().__init__()
        self.when, self.declared, self.asked = when, declared, 0

    def capabilities(self) -> Capabilities:
        return replace(super().capabilities(), **self.declared)  # type: ignore[arg-type]

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Tensor]:
        self.asked += 1
        if self.when(problem):
            raise RuntimeError("no such kernel")
        return super().evaluate(problem, device, mode)


ORDINARY = [c for c in select("smoke", ops=["softmax"], dtypes=["float32"]) if c.family == "ordinary"][:4]
RELATED = [c for c in select("smoke", ops=["softmax"], dtypes=["float32"]) if c.family == RELATION]


def verdicts(adapter: Refusing, calls: Sequence[Call]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for o in run([Target(adapter)], calls):
        if "/all/" not in o.id:
            found.setdefault(o.output, set()).add(o.verdict)
    return found


def test_a_backward_that_raises_fails_the_gradient_alone() -> None:
    adapter = Refusing(lambda p: "vjp" in p.want)
    found = verdicts(adapter, ORDINARY)
    assert found["value"] == {"pass"}
    assert found["vjp"] == {"fail"}
    assert adapter.asked == 2 * len(ORDINARY)


def test_a_forward_that_raises_fails_what_needs_it() -> None:
    adapter = Refusing(lambda p: True)
    assert verdicts(adapter, ORDINARY)["value"] == {"fail"}
    assert verdicts(adapter, ORDINARY)["vjp"] == {"fail"}


@pytest.mark.parametrize("calls", [ORDINARY, RELATED], ids=["calls", "relations"])
def test_an_error_is_no_failure_of_an_output_that_is_not_on_offer(calls: Sequence[Call]) -> None:
    found = verdicts(Refusing(lambda p: True, outputs=("value",)), calls)
    assert found["value"] == {"fail"}
    assert found["vjp"] == {"unsupported"}


@pytest.mark.parametrize(
    ("numbers", "texts"),
    [
        ((1.0, 0.5), ["1", "0.5"]),
        ((0.99999994, 1.0, 1.0), ["0.99999994", "1", "1"]),
        ((1 - 2**-33, 1.0), ["0.9999999999", "1"]),
        ((1.0, 1 + 2**-52), ["1", "1.0000000000000002"]),
        ((math.nan, 0.25, 0.25 + 2**-54), ["nan", "0.25", "0.2500000000000001"]),
        ((math.nan, math.nan), ["nan", "nan"]),
        ((-0.0, 0.0), ["-0", "0"]),
    ],
)
def test_numbers_that_differ_are_written_so(numbers: Sequence[float], texts: Sequence[str]) -> None:
    assert told_apart(*numbers) == list(texts)


def test_a_message_tells_what_was_got_from_what_is_exact() -> None:
    """One class is 1 exactly: 1 - 2^-24 must not read as 1."""
    call = Call(Problem("softmax", "float32", np.ones((1, 1))), "ordinary")
    answer = Outcome({"value": Tensor(np.full(call.problem.x.shape, 1 - 2.0**-24), "float32")})
    (o,) = observe([call], truth([call.problem]), [answer], "t", Declared("W"))
    assert o.verdict == "fail"
    assert "got 0.99999994" in o.message
