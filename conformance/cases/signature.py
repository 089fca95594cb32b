"""A signature is what a compiler sees of a call, and so decides which program runs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Flag, auto
from functools import cached_property

from lossproof.adapters.protocol import LOSSES


class Uses(Flag):
    """The options and the directions of derivatives that a signature has beside its reduction.

    ``PROBABILITIES`` are targets whose rows sum to 1, ``ANY_SUM`` targets whose rows sum to anything; without either
    targets are class indices. ``TANGENT`` is a direction in the logits, for the JVP and the second derivative;
    ``TARGET_GRADIENT`` asks for the gradient with respect to the targets, ``TARGET_TANGENT`` is a direction in them,
    for the mixed second derivative.
    """

    PROBABILITIES = auto()
    ANY_SUM = auto()
    SMOOTHING = auto()
    WEIGHT = auto()
    IGNORE_INDEX = auto()
    TANGENT = auto()
    TARGET_GRADIENT = auto()
    TARGET_TANGENT = auto()


NOTHING = Uses(0)
# Each member's letter in the text that seeds a call's draws, in the order of the members.
_LETTERS = dict(zip(Uses, "quswitdm", strict=True))


@dataclass(frozen=True)
class Signature:
    """The static part of a call: op, reduction, options in use, class axis, memory layout."""

    op: str
    reduction: str = "mean"
    uses: Uses = NOTHING
    axis: int = -1
    layout: str = "contiguous"

    @property
    def is_loss(self) -> bool:
        """Say whether the op takes a target."""
        return self.op in LOSSES

    @cached_property
    def has_probability_target(self) -> bool:
        """Say whether the target holds class probabilities rather than class indices."""
        return Uses.PROBABILITIES in self.uses or Uses.ANY_SUM in self.uses

    @cached_property
    def key(self) -> str:
        """The text that seeds the draws of this signature's calls: a change of it makes another deck."""
        letters = "".join(letter for use, letter in _LETTERS.items() if use in self.uses)
        return (
            f"Sig(op={self.op!r}, reduction={self.reduction!r}, uses={letters!r}, "
            f"axis={self.axis!r}, layout={self.layout!r})"
        )
