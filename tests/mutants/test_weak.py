"""Kills that hang on one call are told from others, whatever the number of outputs and dtypes, and who is killed twice
is asked no more."""

from __future__ import annotations

import pytest

pytest.importorskip("ml_dtypes", reason="mutants compute in bfloat16, which NumPy has from ml_dtypes")

from lossproof.cases.catalogue import select
from tests.mutants.matrix.kill import Kill, weak
from tests.mutants.matrix.registry import collect
from tests.mutants.matrix.search import matrix

NAMES = [m.id for m in collect().values() if m.kind == "mutant" and m.op == "softmax" and not m.allowed][:3]


def test_one_call_is_weak_and_two_are_not() -> None:
    first, second, third = NAMES
    found = {
        (first, "float32"): Kill(2, 2, message="a", killers=["cliff 1"]),
        (first, "float64"): Kill(5),
        (second, "float32"): Kill(2, 2, killers=["cliff 1", "cliff 2"]),
        (third, "float32"): Kill(1, 1, killers=["cliff 1"]),
        (third, "float64"): Kill(1, 1, killers=["cliff 1"]),
    }
    assert weak(collect(), found) == {first: "a"}


def test_the_matrix_counts_calls() -> None:
    mutants = {name: collect()[name] for name in NAMES}
    calls = [c for c in select("smoke", ops=["softmax"], dtypes=["float32"]) if not c.is_check]
    found = matrix(mutants, calls, processes=1)
    killing = next(name for (name, _), kill in found.items() if kill.calls > 1)
    assert killing not in weak(mutants, found)
    one = {name: m for name, m in mutants.items() if name == killing}
    alone = [matrix(one, [call], processes=1) for call in calls[:40]]
    assert any(killing in weak(one, kills) for kills in alone)


def test_who_is_killed_twice_is_asked_no_more() -> None:
    """Verdicts are those of all calls; controls, and who is not killed, are asked everything."""
    names = [*NAMES, "control softmax: np", "upstream log_softmax: infinite logits made finite"]
    mutants = {name: collect()[name] for name in names}
    calls = select("smoke", ops=["softmax", "log_softmax"], dtypes=["float32", "float16"])
    some, every = (matrix(mutants, calls, processes=1, every_call=flag) for flag in (False, True))
    assert some.keys() == every.keys()
    for (name, dtype), kill in every.items():
        less = some[name, dtype]
        if dtype in mutants[name].expect and kill.killed:
            assert min(2, kill.calls) <= less.calls <= kill.calls
            assert less.families.keys() <= kill.families.keys()
        if mutants[name].kind == "control":
            assert less == kill
    assert sum(k.judged for k in some.values()) < sum(k.judged for k in every.values())
