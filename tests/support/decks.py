"""Decks that many tests look at: each process draws them once."""

from __future__ import annotations

import functools
from unittest import mock

from lossproof.adapters.protocol import DTYPES, OPS
from lossproof.cases import catalogue
from lossproof.cases.deck import deck_calls
from lossproof.cases.deck_part import DeckPart
from lossproof.core.call import Call

# What is drawn of a deck that nothing filters.
_EVERYTHING = DeckPart(ops=frozenset(OPS), dtypes=frozenset(DTYPES))


def whole(deck: str = "default") -> tuple[Call, ...]:
    """A deck with its checks, in order: the calls of :func:`drawn`, where it asks for these, are not drawn again."""
    return _whole(deck)


def drawn(deck: str = "default") -> tuple[Call, ...]:
    """The drawn calls of a deck, in order."""
    return _drawn(deck)


# For a cache a deck that is named and one that is not would be two.
@functools.cache
def _whole(deck: str) -> tuple[Call, ...]:
    def once(name: str, part: DeckPart) -> list[Call]:
        return [*drawn(name)] if part == _EVERYTHING else deck_calls(name, part)

    with mock.patch.object(catalogue, "deck_calls", once):
        return tuple(catalogue.select(deck))


@functools.cache
def _drawn(deck: str) -> tuple[Call, ...]:
    return tuple(deck_calls(deck))
