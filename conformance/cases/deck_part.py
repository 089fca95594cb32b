"""A part of the deck: the seed of its draws, and what filters leave of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from lossproof.adapters.protocol import DTYPES, OPS
from lossproof.cases.families import FAMILIES
from lossproof.cases.picker import SeededPicker

# The version of the deck: another one draws other calls. Records hold it, and a digest of the ids besides.
VERSION = 3
GOLDEN = "golden"
# The families of drawn calls, and that of the worked example.
DRAWN = (*FAMILIES, GOLDEN)


@dataclass(frozen=True, kw_only=True)
class DeckPart:
    """The seed of a deck's draws, and the ops, dtypes and families that are kept of it; by default the whole deck.

    What is drawn for a call depends on the seed and the call alone: a part holds the very calls that the whole has.
    """

    seed: int = 0
    ops: Collection[str] = OPS
    dtypes: Collection[str] = DTYPES
    families: Collection[str] = DRAWN

    def keeps(self, op: str, family: str) -> bool:
        """Say whether calls of an op and family are in this part."""
        return op in self.ops and family in self.families

    @property
    def provenance(self) -> str:
        """The words that a drawn call has for where it came from."""
        return f"seed {self.seed}"

    def picker(self, *key: object) -> SeededPicker:
        """Return the picker of one call, which ``key`` tells from all others.

        Keys of drawn calls do not name the dtype: the draws are the same in each, so that conventions can be compared.
        """
        return SeededPicker("/".join(map(str, (VERSION, self.seed, *key))))


WHOLE_DECK = DeckPart()
