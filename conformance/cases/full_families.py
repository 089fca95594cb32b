"""Families of numbers that are not nice: all bits that the format has are drawn, of logits and of all that goes with
them."""

from __future__ import annotations

from lossproof.cases.family import family
from lossproof.cases.picker import Picker, full_bell
from lossproof.core.formats import F64, Format


@family(
    "logits, targets, weights, smoothing and cotangents with all the bits of the format: what is exact for round "
    "numbers alone",
    random_order=True,
    log_probs=True,
    full=True,
)
def full_mantissas(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    return full_bell(pick, (n, k)) * pick.choice((1.0, 1.0, 12.0))
