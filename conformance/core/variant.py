"""Variants of the ops, as a caller declares them: what a training loss adds to an op (docs/variants.md)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lossproof.adapters.protocol import VARIANT_PARTS, Problem
from lossproof.core.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Variant:
    """The parts that a function adds to an op, in the order in which they are applied.

    ``logit_scale`` is a factor on the logits, ``softcap`` is c in ``c tanh(x / c)`` of the scaled logits (0: none),
    ``z_loss`` the factor of the squared log-sum-exp that is added to each row of a loss, and with ``sample_weight``
    each row has a weight. docs/variants.md has the definitions, with what a mean divides by.

    Raises :class:`UsageError` for a number that means nothing.
    """

    z_loss: float = 0.0
    softcap: float = 0.0
    logit_scale: float = 1.0
    sample_weight: bool = False

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        for name, least in (("z_loss", "from 0"), ("softcap", "above 0, or 0 for none"), ("logit_scale", "but 0")):
            value = getattr(self, name)
            number = _number(value)
            if not np.isfinite(number) or (number == 0 if name == "logit_scale" else number < 0):
                raise UsageError(f"{name} is {value!r}; expected a finite number {least}")
            object.__setattr__(self, name, number)
        if not isinstance(self.sample_weight, bool):
            raise UsageError(f"sample_weight is {self.sample_weight!r}; expected True where each row has a weight")
        if not self.parts:
            raise UsageError(f"a variant without parts is the op itself; expected some of {', '.join(VARIANT_PARTS)}")

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of its parts, of ``VARIANT_PARTS``."""
        used = (self.z_loss != 0.0, self.softcap != 0.0, self.logit_scale != 1.0, self.sample_weight)
        return tuple(name for name, there in zip(VARIANT_PARTS, used, strict=True) if there)


def _number(value: object) -> float:
    """A number as a float64, NumPy's scalars among them; NaN for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


def varied(variant: Variant, p: Problem, sample_weight: NDArray[np.float64] | None = None) -> Problem:
    """Return the problem of a variant: rows weigh what is given, or else what they weigh, or else 1."""
    weight = p.sample_weight if sample_weight is None else sample_weight
    if not variant.sample_weight:
        weight = None
    elif weight is None:
        weight = np.ones(p.row_shape)
    v = variant
    return replace(p, z_loss=v.z_loss, softcap=v.softcap, logit_scale=v.logit_scale, sample_weight=weight)


def variant_words(variant: Variant, taken: frozenset[str] = frozenset()) -> str:
    """Say in one line what a variant adds, and which parts are built in, those that are not ``taken`` as arguments."""
    found = []
    for part in variant.parts:
        value = "" if part == "sample_weight" else f" {getattr(variant, part):g}"
        found.append(f"{part}{value} ({'its argument' if part in taken else 'built in'})")
    return f"as the variant with {', '.join(found)} (docs/variants.md)"
