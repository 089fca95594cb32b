"""Signatures and parts of the deck: the text that seeds draws, and that a part holds the very calls of the whole."""

from __future__ import annotations

import pytest

from lossproof.cases.catalogue import select
from lossproof.cases.deck import deck_calls
from lossproof.cases.deck_part import DeckPart
from lossproof.cases.signature import NOTHING, Signature, Uses
from lossproof.core.case_id import ERROR, RELATION
from lossproof.core.errors import UsageError


def test_the_text_that_seeds_draws_is_the_one_that_the_deck_was_made_with() -> None:
    everything = NOTHING
    for use in Uses:
        everything |= use
    assert Signature("cross_entropy", "none", everything, 0, "offset").key == (
        "Sig(op='cross_entropy', reduction='none', uses='quswitdm', axis=0, layout='offset')"
    )
    assert Signature("softmax").key == "Sig(op='softmax', reduction='mean', uses='', axis=-1, layout='contiguous')"


def test_targets_are_probabilities_of_either_sum() -> None:
    found = {uses: Signature("cross_entropy", uses=uses).has_probability_target for uses in Uses}
    assert [uses for uses, dense in found.items() if dense] == [Uses.PROBABILITIES, Uses.ANY_SUM]


def test_a_part_of_the_deck_holds_the_very_calls_of_the_whole() -> None:
    whole = deck_calls("smoke")
    some = DeckPart(ops=["nll_loss"], dtypes=["float32"], families=["ordinary", "golden"])
    kept = [
        c.id
        for c in whole
        if (c.problem.op, c.problem.dtype) == ("nll_loss", "float32") and c.family in ("ordinary", "golden")
    ]
    assert {c.family for c in deck_calls("smoke", some)} == {"ordinary", "golden"}
    assert [c.id for c in deck_calls("smoke", some)] == kept


def test_filters_of_the_catalogue_keep_the_order_and_the_calls_of_the_whole() -> None:
    whole = [c.id for c in select("smoke", ops=["softmax"])]
    parts = [select("smoke", ops=["softmax"], families=[name]) for name in ("ordinary", RELATION, ERROR)]
    for part in parts:
        ids = {c.id for c in part}
        assert ids
        assert [c.id for c in part] == [id for id in whole if id in ids]


def test_filters_that_leave_nothing_are_a_usage_error() -> None:
    with pytest.raises(UsageError, match="the smoke deck has no call of that op, dtype and family"):
        select("smoke", dtypes=["float64"], families=["wide"])
