"""Targets sum to 1 by a definition that specification, engine and adapters share.

Those that sum to 1 as real numbers are rounded, and then they no longer do: float32(0.2, 0.3, 0.5) sums to 1 + 1.5e-8.
A row counts as one that sums to 1 if its sum could be that of a softmax which a conforming implementation has computed
in its format; docs/bounds.md, section 6, derives how far that can be from 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# Roundings of a division within its contract (docs/bounds.md, section 1).
_DIVISION = 3


def sums_to_one(q: np.ndarray, roundoff: float, lost: float, axis: int = -1) -> Any:
    """Tell which rows sum to 1 but for rounding: an array of truth values without the class axis.

    ``q`` holds probability targets, exact values of a format, as float64; ``roundoff`` is that of the format, ``lost``
    what one entry may lose by underflow.
    """
    k = q.shape[axis]
    wide = min(roundoff, 2.0**-24)
    # The sum of the exponentials, the quotient; in 16 bits the rounded sum and the rounded quotient or output.
    logarithm = (max(k - 1, 0) + _DIVISION) * wide / (1 - wide) - (2 * np.log1p(-roundoff) if roundoff > wide else 0.0)
    size = np.abs(q).sum(axis=axis)
    # The last term is the error of adding up here, in float64.
    share = np.expm1(logarithm) + max(k - 1, 0) * 2.0**-53
    return np.abs(q.sum(axis=axis) - 1.0) <= share * size + k * lost
