"""Only what somebody has answered is computed: truth of other outputs, calls and ops is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import Capabilities, Problem, Tensor
from lossproof.cases.catalogue import select
from lossproof.core.call import Call
from lossproof.core.observation import Observation
from lossproof.running import group_judge
from lossproof.running.loop import run
from lossproof.targets.target import Target
from lossproof.truth.truth import Truth, truth
from tests.support.thinned import thinned


class Narrow(NumpyAdapter):
    """NumPy's adapter, which offers some of it, and gives answers of a wrong shape where ``broken`` says so."""

    def __init__(self, name: str, broken: Sequence[str] = (), **declared: Any) -> None:
        super().__init__()
        self.name, self.broken, self.declared = name, broken, declared

    def capabilities(self) -> Capabilities:
        return replace(super().capabilities(), **self.declared)

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Tensor]:
        found = super().evaluate(problem, device, mode)
        found = {name: a for name, a in found.items() if name in self.capabilities().outputs}
        return {n: replace(a, data=a.data[..., None]) if n in self.broken else a for n, a in found.items()}


_ORDINARY = select("default", families=("ordinary",), dtypes=("float32",))
_SMALL = [c for c in _ORDINARY if c.outline.x.size < 100]
# One in so many of all, and one call of each op and set of outputs.
_EACH = {(c.case.op, tuple(c.outputs)): c.id for c in _SMALL}.values()
_SOME = {*_EACH, *(c.id for c in thinned(_SMALL, to=12))}
CALLS = [c for c in _SMALL if c.id in _SOME]


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[Problem]:
    """The problems of which truth is computed."""
    found: list[Problem] = []

    def noted(problems: Sequence[Problem], **how: Any) -> Truth:
        found.extend(problems)
        return truth(problems, **how)

    monkeypatch.setattr(group_judge, "truth", noted)
    # Where there is a compiler, few truths are computed at all.
    monkeypatch.setattr(group_judge, "missing", lambda: "not in this test")
    return found


def observed(calls: Sequence[Call], *adapters: NumpyAdapter) -> dict[str, list[Observation]]:
    found: dict[str, list[Observation]] = {adapter.name: [] for adapter in adapters}
    for o in run([Target(a) for a in adapters], calls):
        if o.target in found and o.case.family != "convention":
            found[o.target].append(replace(o, seconds=0.0, target=""))
    return found


def test_no_truth_of_what_is_not_on_offer(computed: list[Problem]) -> None:
    ops = {name: s for name, s in NumpyAdapter().capabilities().ops.items() if "softmax" in name}
    adapter = Narrow("two_ops", ops=ops, outputs=("value", "vjp"))
    found = observed(CALLS, adapter)["two_ops"]
    assert {p.op for p in computed} == {"softmax", "log_softmax"}
    assert {name for p in computed for name in p.want} == {"value", "vjp"}
    assert len(found) == sum(len(c.outputs) for c in CALLS)
    other = [o for o in found if o.verdict == "unsupported"]
    assert {o.output for o in other} > {"jvp", "grad_target"}
    assert {o.verdict for o in found if o not in other} == {"pass"}


def test_answers_that_are_none_need_no_truth(computed: list[Problem]) -> None:
    found = observed(CALLS, Narrow("broken", broken=NumpyAdapter().capabilities().outputs))["broken"]
    assert computed == []
    assert {o.verdict for o in found} == {"fail"}


def test_who_offers_less_changes_nothing_for_the_others(computed: list[Problem]) -> None:
    """All targets share the truth, of what any of them has answered."""
    whole, few = Narrow("whole"), Narrow("few", outputs=("value",))
    broken = Narrow("broken", broken=("value",), outputs=("value", "vjp"))
    together = observed(CALLS, few, whole, broken)
    assert len(computed) == len(CALLS)
    for adapter in (whole, few, broken):
        # NaN is equal to itself in texts.
        assert repr(observed(CALLS, adapter)[adapter.name]) == repr(together[adapter.name])
    assert {o.verdict for o in together["broken"] if o.output == "value"} == {"fail"}
    assert {o.verdict for o in together["broken"] if o.output == "vjp"} == {"pass", "convention"}
