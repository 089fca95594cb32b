"""Conventions: the same call shows the same behaviour in every dtype, and what an adapter declares."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import Capabilities, Problem
from lossproof.cases.catalogue import select
from lossproof.cases.deck_part import DeckPart
from lossproof.cases.error_cases import error_checks
from lossproof.cases.families import FAMILIES
from lossproof.core.call import Call
from lossproof.core.case_id import CONVENTION
from lossproof.core.clauses import EXEMPT
from lossproof.core.errors import UsageError
from lossproof.core.observation import FAILING, Observation
from lossproof.running.convention_ledger import Ledger
from lossproof.running.loop import run
from lossproof.targets.target import Target, load_adapter
from tests.support.thinned import WHOLE

# Those that a clause speaks of; by default all.
SPECIAL = () if WHOLE else (*(name for name, f in FAMILIES.items() if not f.regular), "golden", "error")
INFINITE = ("softmax", "log_softmax")


@dataclass
class Declaring(NumpyAdapter):
    """The numpy adapter with other declarations; ``limit`` gives one-hot rows where a logit is +inf."""

    conventions: dict[tuple[str, str, str], str]
    limit: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def capabilities(self) -> Capabilities:
        return replace(super().capabilities(), conventions=self.conventions)

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        out = super().evaluate(problem, device, mode)
        hot = np.isposinf(problem.x)
        if self.limit:
            one = hot.sum(axis=problem.axis, keepdims=True) == 1
            values = hot.astype(float) if problem.op == "softmax" else np.where(hot, 0.0, -np.inf)
            out["value"] = replace(out["value"], data=np.where(one, values, out["value"].data))
        return out


@functools.cache
def infinite() -> list[Call]:
    calls = select(ops=INFINITE, dtypes=["float64", "float32"], families=["positive_infinity"])
    # What a row shows it shows in any size.
    calls = [c for c in calls if c.outline.x.size <= 100]
    assert calls
    return calls


def verdicts(adapter: Declaring) -> Iterator[Observation]:
    return (o for o in run([Target(adapter)], infinite()) if f"/{CONVENTION}/clause-4/value" in o.id)


def test_a_declaration_that_the_run_shows_passes() -> None:
    declared = {("4", op, "value"): "nan" for op in INFINITE}
    assert [o.verdict for o in verdicts(Declaring(declared))] == ["pass", "pass"]


def test_a_declaration_that_the_run_contradicts_fails() -> None:
    declared = {("4", op, "value"): "nan" for op in INFINITE}
    found = list(verdicts(Declaring(declared, limit=True)))
    assert len(found) == len(INFINITE)
    for o in found:
        assert o.verdict == "fail"
        assert "contradicts the declared 'nan'" in o.message
        assert "limit" in o.message


@pytest.mark.parametrize("declared", [{}, {("4", op, "value"): "limit|nan" for op in INFINITE}], ids=["none", "either"])
def test_an_undeclared_convention_is_recorded(declared: dict[tuple[str, str, str], str]) -> None:
    assert [o.verdict for o in verdicts(Declaring(declared, limit=True))] == ["pass", "pass"]


@pytest.mark.parametrize("name", ["numpy", "torch", "tensorflow", "jax"])
def test_shipped_declarations_can_be_contradicted(name: str) -> None:
    """None is about a clause that the comparison exempts, and each is shown by some call of the deck."""
    try:
        declared = load_adapter(name).capabilities().conventions
    except UsageError as error:
        pytest.skip(str(error))
    assert declared
    assert not {clause for clause, _, _ in declared} & EXEMPT
    calls = [c for c in select(dtypes=["float32"], families=SPECIAL) if c.outline.x.size <= 100]
    shown = {o.id: o for o in run([Target(load_adapter("numpy"))], calls) if f"/{CONVENTION}/" in o.id}
    for clause, op, output in declared:
        assert f"{op}/all/{CONVENTION}/clause-{clause}/{output}" in shown
    assert not [o.message for o in shown.values() if o.verdict in FAILING]


@pytest.mark.parametrize(("shown", "verdict"), [("error:bad_label", "pass"), ("nan", "fail")])
def test_problems_without_classes_are_refused_everywhere_for_any_reason(shown: str, verdict: str) -> None:
    ledger = Ledger("two")
    call = next(c for c in error_checks(DeckPart(ops=["nll_loss"], dtypes=["float32"])) if c.name == "10-no-classes")
    for mode, how in (("eager", "error:bad_shape"), ("compile", shown)):
        ledger.add(call, Observation(call.id, "value", f"two+{mode}", "convention", conventions={"10": how}))
    assert [o.verdict for o in ledger.verdicts()] == [verdict]


@pytest.mark.parametrize(
    ("verdict", "told"), [("fail", []), ("waived", []), ("unexpected_pass", ["fail"]), ("convention", ["fail"])]
)
def test_a_wrong_answer_follows_no_convention(verdict: str, told: list[str]) -> None:
    """A mean of 1 where 0 and NaN are allowed is wrong, and not another choice than the eager mode's."""
    ledger = Ledger("two")
    call = next(c for c in error_checks(DeckPart(ops=["nll_loss"], dtypes=["float32"])) if c.name == "10-no-classes")
    ledger.add(call, Observation(call.id, "value", "two+eager", "convention", conventions={"10": "error:bad_shape"}))
    ledger.add(call, Observation(call.id, "value", "two+compile", verdict, conventions={"10": "zero"}))
    assert [o.verdict for o in ledger.verdicts() if o.verdict != "pass"] == told
