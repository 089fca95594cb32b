"""A part of the deck: the seed of its draws, and what filters leave of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from lossproof.adapters.protocol import DTYPES, OPS, Problem
from lossproof.cases.families import FAMILIES
from lossproof.cases.known_calls import KnownCalls
from lossproof.cases.picker import SeededPicker

# The version of the deck: another one draws other calls. Records hold it, and a digest of the ids besides.
VERSION = 3
GOLDEN = "golden"
# The families of drawn calls, and that of the worked example.
DRAWN = (*FAMILIES, GOLDEN)


class Strand(NamedTuple):
    """A strand of a deck is all of its calls of one op, dtype, shape and class axis (from 0): what it is called before
    anything is drawn of it. Calls with equal ids, and calls of one signature, are in one strand."""

    op: str
    dtype: str
    shape: tuple[int, ...]
    axis: int

    @classmethod
    def of(cls, p: Problem) -> Strand:
        """The strand that a problem belongs to."""
        return cls(p.op, p.dtype, p.x.shape, p.axis % p.x.ndim)


class Strands(Protocol):
    """Some strands of a deck."""

    def takes(self, strand: Strand, family: str) -> bool:
        """Say whether a call of a family is among them, by its strand."""
        ...


@dataclass(frozen=True, kw_only=True)
class DeckPart:
    """The seed of a deck's draws, and the ops, dtypes, families and strands that are kept of it; by default the whole
    deck. Of calls that are ``known`` no numbers are drawn.

    What is drawn for a call depends on the seed and the call alone: a part holds the very calls that the whole has.
    """

    seed: int = 0
    ops: Collection[str] = OPS
    dtypes: Collection[str] = DTYPES
    families: Collection[str] = DRAWN
    strands: Strands | None = None
    known: KnownCalls | None = field(default=None, compare=False, repr=False)

    def keeps(self, op: str, family: str, dtype: str, shape: tuple[int, ...], axis: int = -1) -> bool:
        """Say whether a call is in this part, before it is drawn."""
        if op not in self.ops or family not in self.families:
            return False
        return self.strands is None or self.strands.takes(Strand(op, dtype, shape, axis % len(shape)), family)

    def has(self, p: Problem, family: str) -> bool:
        """Say whether a call is in this part that is made already."""
        return self.keeps(p.op, family, p.dtype, p.x.shape, p.axis)

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
