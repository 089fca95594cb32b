"""Exploration finds by itself mutants that few families of the deck kill (in the manner of Hypothesis's tests/quality).

``pytest -m quality tests/quality`` takes minutes: the kill matrix is needed to know which mutants are rare.
"""

from __future__ import annotations

import random

import pytest

from lossproof.catalogue import checks
from lossproof.families import FAMILIES

pytest.importorskip("ml_dtypes")

from ..mutants.kill import Matrix, matrix
from ..mutants.registry import collect
from ..mutants.table import families
from .search import search

pytestmark = pytest.mark.quality
SEED, DRAWN, RARE = 0, 20, 2


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
    kills = matrix({name: m for name, m in collect().items() if m.expect}, checks())
    return random.Random(SEED).sample(rare(kills), DRAWN)


@pytest.mark.parametrize("i", range(DRAWN))
def test_exploration_finds_a_rare_mutant(drawn, i):
    assert search(collect()[drawn[i]], SEED) is not None, f"{drawn[i]}: not found"
