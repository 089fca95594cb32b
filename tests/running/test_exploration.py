"""Exploration ends with an input that a reader can follow, whatever it found first."""

from __future__ import annotations

import pytest

pytest.importorskip("hypothesis", reason="exploration draws with it")
pytest.importorskip("ml_dtypes", reason="mutants compute in bfloat16, which NumPy has from ml_dtypes")

from lossproof.running.exploration import explored
from tests.mutants.matrix.registry import collect
from tests.support.thinned import nightly


@pytest.mark.parametrize("seed", [pytest.param(0, marks=nightly), 1])
@pytest.mark.parametrize(
    "name",
    ["log_softmax: x - lse", pytest.param("log_softmax: cotangent of stride 0 read on", marks=nightly)],
)
def test_what_is_found_in_a_large_call_becomes_a_small_one(name: str, seed: int) -> None:
    mutant = collect()[f"upstream {name}"]
    found = explored([mutant.target()], mutant.op, mutant.expect, examples=300, seed=seed)
    assert found.call is not None
    assert found.failures
    assert found.call.problem.x.size <= 4
