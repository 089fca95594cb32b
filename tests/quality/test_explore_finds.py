"""Exploration finds by itself mutants that few families of the deck kill (in the manner of Hypothesis's tests/quality).

``pytest -m quality tests/quality`` takes minutes: the kill matrix is needed to know which mutants are rare. The
variable LOSSPROOF_SEED draws other mutants, and searches for them with another seed.
"""

from __future__ import annotations

import os
import random
from dataclasses import replace

import pytest

from lossproof.cases.catalogue import select
from lossproof.cases.families import FAMILIES
from lossproof.core.operations import OPERATIONS

pytest.importorskip("ml_dtypes", reason="mutants compute in bfloat16, which NumPy has from ml_dtypes")

from tests.mutants.matrix.kill import Matrix, families
from tests.mutants.matrix.registry import collect
from tests.mutants.matrix.search import matrix

from .search import minimal, search

pytestmark = pytest.mark.quality
SEED, DRAWN, RARE = int(os.environ.get("LOSSPROOF_SEED", "0")), 20, 2
# Mutants that a call of one or two rows shows: what shrinking should come close to.
PLAIN = (
    "upstream cross_entropy: mask by multiplication",
    "upstream log_softmax: x - lse",
)


def rare(kills: Matrix) -> list[str]:
    """Ids of the mutants that at most two families kill, leaving relations and error calls aside, in order."""
    found = []
    for m in collect().values():
        names = [name for name in families(m, kills) if name in FAMILIES]
        if m.kind == "mutant" and m.expect and 0 < len(names) <= RARE:
            found.append(m.id)
    return sorted(found)


@pytest.fixture(scope="session")
def drawn() -> list[str]:
    kills = matrix({name: m for name, m in collect().items() if m.expect}, select())
    return random.Random(SEED).sample(rare(kills), DRAWN)


@pytest.mark.parametrize("i", range(DRAWN))
def test_exploration_finds_a_rare_mutant(drawn: list[str], i: int) -> None:
    assert search(collect()[drawn[i]], SEED) is not None, f"{drawn[i]}: not found"


@pytest.mark.parametrize("name", PLAIN)
def test_a_found_call_shrinks(name: str) -> None:
    assert minimal(collect()[name], SEED).problem.x.size <= 8


@pytest.mark.parametrize("op", OPERATIONS)
def test_exploration_touches_no_correct_parent(op: str) -> None:
    parent = collect()[f"control {op}: np"]
    assert search(replace(parent, expect=parent.dtypes), SEED) is None
