"""A family of cases makes logits for one purpose: its type, its decorator, and what makers of logits share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lossproof.cases.picker import Picker
from lossproof.core.formats import F64, Format

DrawLogits = Callable[[Picker, Format, int, int], F64]
LN2 = 0.6931471805599453


@dataclass(frozen=True)
class Family:
    """A family makes logits ``(n, k)`` that are exactly representable in the format.

    ``needs`` says which shapes make sense; ``labels`` how targets are chosen: ``any`` class, mostly the ``top`` one, or
    an ``unmasked`` one; ``ignored`` families have exactly those rows ignored that hold something else than finite
    logits. ``random_order`` marks exchangeable classes, for which the statistical grade is meaningful. ``log_probs``
    marks families that also make sense as log-probabilities of nll_loss, ``regular`` those of finite logits,
    ``full`` those whose targets, weights, smoothing and cotangents have all the bits of the format, too.
    """

    name: str
    provokes: str
    make: DrawLogits
    needs: Callable[[int, int], bool]
    labels: str = "any"
    random_order: bool = False
    log_probs: bool = False
    regular: bool = True
    full: bool = False


def _several(n: int, k: int) -> bool:
    return k > 1


def family(
    provokes: str,
    *,
    needs: Callable[[int, int], bool] = _several,
    labels: str = "any",
    random_order: bool = False,
    log_probs: bool = False,
    regular: bool = True,
    full: bool = False,
) -> Callable[[DrawLogits], Family]:
    """Make a family of the decorated maker of logits, under its name; the logits are rounded to the format."""

    def of(make: DrawLogits) -> Family:
        def rounded(pick: Picker, fmt: Format, n: int, k: int) -> F64:
            return fmt.round(make(pick, fmt, n, k))

        return Family(make.__name__, provokes, rounded, needs, labels, random_order, log_probs, regular, full)

    return of


def exp_cliff(fmt: Format) -> float:
    """Return the gap at which exp leaves the normal range of the format (float16 works in float32 as often as not)."""
    return -fmt.emin * LN2


def sum_cliff(fmt: Format) -> float:
    """Return the gap at which a term no longer changes a sum that starts at 1."""
    return fmt.precision * LN2


def row_choice(pick: Picker, n: int, k: int) -> F64:
    """Draw one class in each row, as an indicator (n, k)."""
    return (np.arange(k) == (pick.bits(16, (n, 1)) * k >> 16)).astype(np.float64)


def steps(pick: Picker, lo: float, hi: float, shape: tuple[int, ...]) -> F64:
    """Draw multiples of 1/256 of the way from lo to hi."""
    return np.asarray(lo + pick.bits(8, shape) * ((hi - lo) / 256), dtype=np.float64)
