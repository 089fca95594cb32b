"""Modes of every adapter that has them: right answers, one program for many values, scripts that say the mode."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossproof.adapters.protocol import Adapter, Problem
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.core.observation import FAILING
from lossproof.records.waivers import verdict, waivers_in_force
from lossproof.repro.program import reproduce
from lossproof.running.loop import run
from lossproof.targets.target import Target, load_adapter
from tests.adapters.test_adapters import PROBLEMS, assert_scripts_print, is_left_out
from tests.support.thinned import WHOLE, nightly, thinned

INF = math.inf
# Modes that compile answer a few, dear ones at night, too, and two of them with every change; what they have in common
# with the others is in the lines that these run through.
FEW = ("cross_entropy", "probabilities-smoothed", "log_softmax-cube")


def modes() -> Iterator[Any]:
    for name in ("torch", "tensorflow", "jax"):
        try:
            c = load_adapter(name).capabilities()
        except UsageError:
            continue
        for mode in c.modes[1:]:
            # Minutes, cold, for what the smoke deck asks of them, too.
            dear = c.in_mode(mode).compile_cost == "dear"
            yield pytest.param((name, mode), id=f"{name}+{mode}", marks=nightly if dear else ())


@pytest.fixture(scope="module", params=list(modes()))
def target(request: pytest.FixtureRequest) -> Target:
    name, mode = request.param
    return Target(load_adapter(name), mode)


def problems(target: Target) -> dict[str, Problem]:
    c = target.capabilities
    all_of_them = c.compile_cost == "none" or (WHOLE and c.compile_cost != "dear")
    several = [name for name in FEW if PROBLEMS[name].op in c.ops][: None if WHOLE else 2]
    chosen = {name: p for name, p in PROBLEMS.items() if p.op in c.ops and (all_of_them or name in several)}
    if target.mode == "where":
        # The derivatives of log_softmax are others where a class is left out than where its logit is -inf.
        few = {"cotangent": None, "tangent": None}
        chosen = {name: replace(p, **few) if p.op == "log_softmax" else p for name, p in chosen.items()}  # type: ignore[arg-type]
    if target.mode == "autocast":
        chosen = {name: autocast(p) for name, p in chosen.items() if p.dtype in c.dtypes}
    return {name: p for name, p in chosen.items() if not is_left_out(target.adapter, p, target.mode)}  # type: ignore[arg-type]


def autocast(p: Problem) -> Problem:
    """What autocast gives on the CPU: losses of 16-bit logits are float32."""
    p = replace(p, tangent=None, wrt_target=False, target_tangent=None)
    return replace(p, out_dtype="float32") if p.is_loss and p.dtype != "float32" else p


def test_right(target: Target) -> None:
    """But for known deviations."""
    marks = waivers_in_force([target])
    asked = problems(target)
    # Modes that compile dearly are asked calls of tier core alone.
    found = list(run([target], [Call(p, name, tier="core") for name, p in asked.items()]))
    for o in found:
        assert verdict(marks.mark(o, explored=True)) not in FAILING, o.message
        assert o.verdict != "unsupported" or o.output not in target.capabilities.outputs
    offered = [(name, output) for name, p in asked.items() for output in p.want]
    judged = {(o.case.family, o.output) for o in found if o.verdict != "unsupported"}
    assert judged == {(name, output) for name, output in offered if output in target.capabilities.outputs}


def test_one_program_serves_all_values(target: Target) -> None:
    """Other logits, weights, ignored labels (and, but for PyTorch's constants, smoothings) compile nothing new."""
    if target.capabilities.compile_cost == "none" or "cross_entropy" not in target.capabilities.ops:
        pytest.skip("compiles nothing, or has no loss")
    p = replace(PROBLEMS["cross_entropy"], tangent=None, label_smoothing=0.125)
    assert p.weight is not None
    assert p.target is not None
    # Nothing is left of the label's own term with a smoothing of 1, not even where its class is masked.
    eps = 0.125 if target.adapter.name == "torch" else 1.0
    hidden = np.where(np.arange(5) == p.target[:, None], -INF, p.x)
    calls = [p, replace(p, x=-p.x, weight=p.weight * 2, ignore_index=1, label_smoothing=eps)]
    calls.append(replace(calls[1], x=hidden))
    calls += [replace(calls[1], ignore_index=-(2**63)), replace(p, x=p.x / 2)]
    for q in calls[1:]:
        assert q.label_smoothing
    first, *others = list(target.play(calls))
    assert first.programs >= 1
    assert 0 < first.compile_seconds <= first.seconds
    assert [o.programs for o in others] == [0] * 4
    assert not any(o.compile_seconds for o in others)
    judged = [o for o in run([target], [Call(q, "values", tier="core") for q in calls]) if o.output == "value"]
    assert len(judged) == len(calls)
    for o in judged:
        assert o.verdict in ("pass", "convention"), o.message


def test_scripts_print_what_evaluate_returns(target: Target, tmp_path: Path) -> None:
    """Bit for bit; each in a fresh namespace, all in one process."""
    chosen = list(problems(target).values())
    if target.mode == "reverse-over-forward":
        # What PyTorch raises ends the script.
        chosen = [replace(p, tangent=None) if p.op != "nll_loss" else p for p in chosen]
    assert_scripts_print(target, thinned(chosen, to=2), tmp_path)


@pytest.mark.of("torch")
def test_what_an_output_raises_is_its_own_answer() -> None:
    """And a program of the one output shows it."""
    pytest.importorskip("torch")
    target = Target(load_adapter("torch"), "reverse-over-forward")
    call = Call(PROBLEMS["log_softmax-cube"], "cube", tier="core")
    (outcome,) = target.play([call.problem])
    assert set(outcome.outputs) == {"value", "vjp"}
    assert set(outcome.failures) == {"hvp"}
    found = reproduce(call, target, "lossproof repro", output="hvp")
    assert found.shows
    assert "(hvp,) = torch.autograd.grad(slope, x, cotangent)" in found.text


@pytest.mark.of("torch")
def test_autocast_gives_what_it_gives() -> None:
    """A loss of 16-bit logits is float32, and nothing else; what is called widens nothing by itself."""
    pytest.importorskip("torch")
    target = Target(load_adapter("torch"), "autocast")
    p = autocast(PROBLEMS["nll_loss-cube"])
    assert p.out_dtype == "float32"
    narrow, wide = target.play([replace(p, out_dtype=None), p])
    assert narrow.error == "unsupported"
    assert "under autocast nll_loss of float16 is float32" in narrow.message
    assert wide.outputs["value"].dtype == "float32"
    assert wide.outputs["vjp"].dtype == "float16"
    assert ".to(torch" not in target.script(p)


def adapters() -> Iterator[Adapter]:
    for name in ("torch", "tensorflow", "jax"):
        try:
            yield load_adapter(name)
        except UsageError:
            continue


@pytest.mark.parametrize("adapter", list(adapters()), ids=lambda a: a.name)
def test_capabilities_of_modes(adapter: Adapter) -> None:
    c = adapter.capabilities()
    assert c.modes[0] == "eager"
    assert set(c.by_mode) <= set(c.modes)
    assert c.in_mode("eager") is c
    costs = {mode: c.in_mode(mode).compile_cost for mode in c.modes}
    assert set(costs.values()) <= {"none", "cheap", "dear"}
    for mode in set(c.modes) & {"compile", "dynamic"}:
        assert costs[mode] == "dear"
