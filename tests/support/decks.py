"""Decks that many tests look at: each process draws them once."""

from __future__ import annotations

import functools

from lossproof.cases.catalogue import select
from lossproof.cases.deck import deck_calls
from lossproof.core.call import Call


@functools.cache
def whole(deck: str = "default") -> tuple[Call, ...]:
    """A deck with its checks, in order."""
    return tuple(select(deck))


@functools.cache
def drawn(deck: str = "default") -> tuple[Call, ...]:
    """The drawn calls of a deck, in order."""
    return tuple(deck_calls(deck))
