"""Drawn calls: what is large is drawn again when it is asked for, to the same bit, and is not held by the deck."""

from __future__ import annotations

import numpy as np
import pytest

from lossproof.adapters.protocol import ARRAYS
from lossproof.cases.catalogue import select
from lossproof.core.batch import signature
from lossproof.core.call import Call, detail
from lossproof.core.recipe import Recipe
from tests.support.decks import whole

# What the arrays of the default deck may take: a few numbers of each of its many calls.
_HELD = 40 << 20


def test_a_deck_holds_none_of_its_large_arrays() -> None:
    kept = [call.source for call in whole() if not isinstance(call.source, Recipe)]
    recipes = [call for call in whole() if isinstance(call.source, Recipe)]
    assert len(recipes) > 1000
    assert sum(a.nbytes for p in kept for a in (getattr(p, name) for name in ARRAYS) if a is not None) < _HELD


@pytest.mark.parametrize("part", range(4))
def test_what_is_drawn_again_has_the_id_of_what_was_drawn(part: int) -> None:
    large = [call for call in whole() if isinstance(call.source, Recipe)][part * 40 :: 160]
    assert large
    for call in large:
        again = Call(call.problem, call.family)
        assert again.id == call.id
        assert signature(again.problem) == signature(call.outline)
        assert detail(call.outline) == detail(call.problem)
        for name in ARRAYS:
            hollow, full = getattr(call.outline, name), getattr(call.problem, name)
            assert (hollow is None) == (full is None)
            assert full is None or (hollow.shape, hollow.dtype) == (full.shape, full.dtype)


def test_a_call_at_another_tier_draws_the_same() -> None:
    full = {call.id: call for call in select("full", dtypes=["bfloat16"], ops=["softmax"], families=["wide", "hot"])}
    large = [call for call in whole() if call.id in full and isinstance(call.source, Recipe)][:5]
    assert large
    for call in large:
        assert full[call.id].tier == "core"
        assert np.array_equal(full[call.id].problem.x, call.problem.x, equal_nan=True)
