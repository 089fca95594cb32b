"""Coverage of the adapters that are installed: in every mode no cell of the matrix is empty that it allows.

At night: what every change is asked is the same of capabilities without limits, whatever it costs to compile
(tests/cases/test_coverage.py), and a deck takes seconds to be made.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lossproof.adapters.protocol import Capabilities
from lossproof.cases.coverage.matrix import coverage
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.targets.target import load_adapter
from tests.support.decks import whole
from tests.support.thinned import nightly


@pytest.fixture(scope="module")
def deck() -> Sequence[Call]:
    return whole()


# NumPy's is among those of tests/cases/test_coverage.py.
@nightly
@pytest.mark.parametrize("name", ["torch", "tensorflow", "jax", "keras"])
def test_no_cell_is_empty_in_any_mode(deck: Sequence[Call], name: str) -> None:
    try:
        capabilities = load_adapter(name).capabilities()
    except UsageError as error:
        pytest.skip(str(error))
    asked: list[Capabilities] = []
    for mode in capabilities.modes:
        given = capabilities.in_mode(mode)
        # Several modes are given the same.
        if given not in asked:
            asked.append(given)
            assert list(coverage(deck, given).empty()) == [], mode
