"""Repeated draws fill large arrays with few numbers, of which no two tiles are the same."""

from __future__ import annotations

import numpy as np

from lossproof.cases.picker import Picker, bell
from lossproof.core.formats import F64, Format

# An odd period: what reads another class or row by an index of few bits reads another number.
_PERIOD = 4093


def repeated_bell(pick: Picker, shape: tuple[int, ...]) -> F64:
    """Return unit-scale numbers of a shape, which repeat after an odd number of them."""
    return np.resize(bell(pick, (_PERIOD,)), shape)


def repeated_cotangent(pick: Picker, fmt: Format, shape: tuple[int, ...]) -> F64:
    """Return a cotangent of a shape in a format, without entries near 0."""
    v = bell(pick, (_PERIOD,))
    return np.resize(fmt.round(np.where(np.abs(v) < 2.0**-6, 1.0, v)), shape)
