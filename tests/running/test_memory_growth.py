"""A loss that keeps something for each logit is found out, whatever it declares, and one that does not passes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import lossproof
from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import LOSSES, Capabilities, Problem
from lossproof.cases.sweeps.giants import GROWTH_CASES, LIMITS, giant_calls
from lossproof.core.call import Call
from lossproof.core.clauses import BY_ELEMENTS, BY_ROWS, MEMORY
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.functions.memory import promise as memory_promise
from lossproof.functions.memory.function_giants import ArrayGiant
from lossproof.judging.memory_growth import MemoryGrowth, kept_bytes
from lossproof.records.waivers import symptom
from lossproof.running.sweeping.giant_session import Giants
from lossproof.targets.target import Target
from tests.support import growing_losses
from tests.support.giant_mutants import SMALL
from tests.support.growing_losses import CountedMemory
from tests.support.views import lossproof as command

# What is asked of a function besides.
_ONE = Call(Problem("cross_entropy", "float32", np.eye(2), target=np.array([0, 1])), "given")
_SOME = Observation("cross_entropy/float32/giant-growth/n17-k672-mean/00000000", "value", "numpy", "pass")
# Of a huge page.
_PAGE = 1 << 21


@pytest.fixture
def _counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small shapes, of which every byte is counted."""
    monkeypatch.setattr(ArrayGiant, "memory", lambda self, device: CountedMemory())
    shapes = memory_promise.memory_calls
    monkeypatch.setattr(memory_promise, "memory_calls", lambda t, d, found, limits: shapes(t, d, found, SMALL))


def checked(value: Callable[..., Any], grad: Callable[..., Any] | None = None, **more: Any) -> lossproof.Report:
    return lossproof.check_implementation(
        value, op="cross_entropy", grad=grad, dtypes=["float32"], targets=["index"], reductions=["mean"],
        outputs=["value", *(["vjp"] if grad else [])], ranks=[2], calls=[_ONE], cache=False, **more,
    )  # fmt: skip


def grades(report: lossproof.Report) -> dict[str, str]:
    return {o.output: o.conventions[MEMORY] for o in report.observations if MEMORY in o.conventions}


@pytest.mark.usefixtures("_counted")
def test_what_keeps_nothing_of_a_logit_passes() -> None:
    report = checked(growing_losses.fused, growing_losses.fused_gradient, memory=BY_ROWS)
    assert report.ok, str(report)
    assert grades(report) == {"value": BY_ROWS, "vjp": BY_ROWS}


@pytest.mark.usefixtures("_counted")
@pytest.mark.parametrize("wrong", [growing_losses.materialised, growing_losses.with_mask])
def test_a_value_that_keeps_something_of_each_logit_breaks_its_promise(wrong: Callable[..., Any]) -> None:
    report = checked(wrong, growing_losses.fused_gradient, memory=BY_ROWS)
    (failure,) = report.failures
    assert (failure.output, failure.rows, failure.classes) == ("value", 272, 336)
    assert "value takes memory of O(N K) beyond its inputs, where O(N) is declared" in failure.message
    assert symptom(failure) == "memory"
    assert grades(report) == {"value": BY_ELEMENTS, "vjp": BY_ROWS}
    with pytest.raises(AssertionError, match=r"bytes kept for each logit"):
        report.raise_on_failure()


@pytest.mark.usefixtures("_counted")
def test_a_gradient_that_copies_its_input_breaks_its_promise() -> None:
    report = checked(growing_losses.fused, growing_losses.gradient_with_copy, memory=BY_ROWS)
    assert [o.output for o in report.failures] == ["vjp"]
    assert "beyond its inputs and its gradient" in report.failures[0].message


@pytest.mark.usefixtures("_counted")
def test_who_promises_nothing_is_not_asked() -> None:
    report = checked(growing_losses.materialised)
    assert report.ok, str(report)
    assert grades(report) == {}


@pytest.mark.usefixtures("_counted")
def test_who_says_that_it_takes_all_is_graded_and_passes() -> None:
    report = checked(growing_losses.materialised, memory=BY_ELEMENTS)
    assert report.ok, str(report)
    assert grades(report) == {"value": BY_ELEMENTS}


def test_what_nobody_measured_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = memory_promise.memory_calls
    monkeypatch.setattr(memory_promise, "memory_calls", lambda t, d, found, limits: shapes(t, d, found, SMALL))
    monkeypatch.setattr("lossproof.adapters.memory.HostMemory.forgets", False)
    report = checked(growing_losses.fused, memory=BY_ROWS)
    assert grades(report) == {}
    assert "how memory grows, declared to be O(N): nothing here says what it took at most" in report.left_out


@pytest.mark.parametrize(
    ("op", "memory", "says"),
    [("softmax", "O(N)", "returns N x K numbers"), ("cross_entropy", "O(1)", r"expected one of O\(N\), O\(N K\)")],
)
def test_promises_that_mean_nothing_are_refused(op: str, memory: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        lossproof.check_implementation(growing_losses.fused, op=op, memory=memory)


def _graded(extra: Callable[[int, int], int], output: str) -> str:
    """The grade where an output takes so much of each of the shapes that are asked."""
    growth = MemoryGrowth()
    for case in GROWTH_CASES:
        rows, classes = case.rows(LIMITS), case.classes(LIMITS)
        o = replace(_SOME, output=output, rows=rows, classes=classes, memory=extra(rows, classes))
        growth.add(o)
    return growth.graded(o).conventions[MEMORY]


@pytest.mark.parametrize(
    ("extra", "value"),
    [
        (lambda n, k: 0, BY_ROWS),
        # What a process needs once, rows alone, classes alone: none of them counts.
        (lambda n, k: 200_000_000 + 64 * n + 4096 * k, BY_ROWS),
        # Arrays of huge pages.
        (lambda n, k: -(-12 * n // _PAGE) * _PAGE + (n * k) % _PAGE, BY_ROWS),
        (lambda n, k: 200_000_000 + n * k, BY_ELEMENTS),
        (lambda n, k: -(-4 * n * k // _PAGE) * _PAGE, BY_ELEMENTS),
    ],
)
def test_the_grade_is_of_what_grows_with_both(extra: Callable[[int, int], int], value: str) -> None:
    assert _graded(extra, "value") == value


def test_the_gradient_that_is_returned_is_no_part_of_it() -> None:
    for each, grade in ((4, BY_ROWS), (5, BY_ELEMENTS)):
        assert _graded(lambda n, k, each=each: each * n * k, "vjp") == grade  # type: ignore[misc]


def test_what_was_not_answered_has_no_grade() -> None:
    growth = MemoryGrowth()
    for n, k in itertools.product((1, 16), repeat=2):
        o = replace(_SOME, verdict="unsupported", rows=n, classes=k, memory=4 * n * k)
        growth.add(o)
    assert growth.graded(o) == o


def test_half_a_byte_is_more_than_the_pages_of_four_shapes() -> None:
    shapes = [(case.rows(LIMITS), case.classes(LIMITS)) for case in GROWTH_CASES]
    (least, *_, most) = shapes
    # Each of four peaks may be off by a page, two of them in one direction and two in the other.
    assert (most[0] - least[0]) * (most[1] - least[1]) / 2 > 2 * 2 * _PAGE
    assert len(set(shapes)) == len(shapes)


def test_a_shape_that_is_missing_leaves_no_grade() -> None:
    taken = {(1, 1): 0, (1, 16): 0, (16, 1): 0, (16, 16): 255 * 255}
    assert kept_bytes({**taken, (16, 16): 225}, 0) == 1.0
    assert kept_bytes({}, 0) is None
    for shape in taken:
        assert kept_bytes({k: v for k, v in taken.items() if k != shape}, 0) is None
    assert MemoryGrowth().graded(_SOME, BY_ROWS) == _SOME


def test_growth_is_asked_of_losses_in_a_reduction_that_they_take() -> None:
    calls = giant_calls(["growth"])
    assert {c.call.problem.op for c in calls} == set(LOSSES)
    assert len({c.call.id for c in calls}) == len(calls)


def test_explain_takes_its_id() -> None:
    call = giant_calls(["growth"], ["cross_entropy"], ["float32"])[-1].call
    done = command("explain", call.id)
    assert done.exit_code == 0, done.stderr
    assert "lossproof giant TARGET --case growth --op cross_entropy --dtype float32: 8704 rows" in done.stdout


class Promising(NumpyAdapter):
    """NumPy's adapter, whose losses take all their logits at once, with a promise or without one."""

    def __init__(self, promised: dict[str, str]) -> None:
        super().__init__()
        self.promised = promised
        self.giant.memory = lambda device: CountedMemory()  # type: ignore[method-assign]

    def capabilities(self) -> Capabilities:
        """Offer what NumPy does, and promise."""
        return replace(super().capabilities(), memory=self.promised)


@pytest.mark.parametrize(("promised", "verdict"), [({}, "pass"), ({"cross_entropy": BY_ROWS}, "fail")])
def test_an_adapter_is_held_to_its_promise(promised: dict[str, str], verdict: str) -> None:
    calls = giant_calls(["growth"], ["cross_entropy"], ["float32"], SMALL)
    found = list(Giants([Target(Promising(promised))], calls, fresh=False).observations())
    assert [(o.output, o.verdict) for o in found[-2:]] == [("value", verdict), ("vjp", verdict)]
    assert [o.conventions.get(MEMORY, "") for o in found] == [""] * (len(found) - 2) + [BY_ELEMENTS] * 2
    assert {o.verdict for o in found[:-2]} == {"pass"}
