"""Coverage of the adapters that are installed: in every mode no cell of the matrix is empty that it allows."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lossproof.cases.coverage.matrix import coverage
from lossproof.core.call import Call
from lossproof.targets.target import installed
from tests.support.decks import whole


@pytest.fixture(scope="module")
def deck() -> Sequence[Call]:
    return whole()


@pytest.mark.parametrize("name", ["numpy", "torch", "tensorflow", "jax", "keras"])
def test_no_cell_is_empty_in_any_mode(deck: Sequence[Call], name: str) -> None:
    found = {t.adapter.name: t for t in installed()}
    if name not in found:
        pytest.skip(f"{name} is not installed here")
    capabilities = found[name].adapter.capabilities()
    for mode in capabilities.modes:
        assert list(coverage(deck, capabilities.in_mode(mode)).empty()) == [], mode
