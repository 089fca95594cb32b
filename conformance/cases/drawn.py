"""Drawn calls: small ones hold what was drawn, large ones draw it again when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lossproof.cases.call_maker import make_call
from lossproof.cases.deck_part import DeckPart
from lossproof.cases.family import Family
from lossproof.cases.signature import Signature
from lossproof.core.call import Call
from lossproof.core.formats import FORMATS
from lossproof.core.recipe import Recipe, outline_of, size

# Bytes from which on a problem is not kept: few calls have most of a deck's numbers.
_LARGE = 1 << 15


def drawn(part: DeckPart, make: Callable[[], Call]) -> Call:
    """Return the call that ``make`` makes of a part of a deck, the same one each time.

    What it holds of a large problem is its outline, and how to make it again.
    """
    if part.known is not None:
        return part.known.drawn(make, _is_held)
    call = make()
    if _is_held(call):
        return call
    return replace(call, source=Recipe(lambda: make().problem, outline_of(call.problem), call.content))


def _is_held(call: Call) -> bool:
    return size(call.problem) < _LARGE


def family_call(
    part: DeckPart,
    f: Family,
    signature: Signature,
    *,
    shape: tuple[int, ...],
    dtype: str,
    key: tuple[object, ...],
    tier: str = "full",
) -> Call:
    """Make the call of a family that a part of the deck has under a ``key``."""
    pick, fmt = part.picker(*key), FORMATS[dtype]
    return make_call(pick, f, signature, shape=shape, fmt=fmt, provenance=part.provenance, tier=tier)
