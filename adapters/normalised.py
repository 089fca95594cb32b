"""Which rows of probability targets sum to 1: a definition that specification, engine and adapters share.

Targets that sum to 1 as real numbers are rounded, and then they no longer do: float32(0.2, 0.3, 0.5) sums to
1 + 1.5e-8. A row counts as one that sums to 1 if its sum could be that of a softmax which a conforming implementation
has computed in its format; docs/bounds.md, section 6, derives how far that can be from 1.
"""

from __future__ import annotations

from typing import Any, Dict

import numpy as np

# Roundoff of the format, and what an entry may lose by underflow: of float16 two halves of a subnormal spacing, of the
# others three of the smallest normal numbers (numerator, quotient, output).
_ROUNDOFF: Dict[str, float] = {"float64": 2.0**-53, "float32": 2.0**-24, "bfloat16": 2.0**-8, "float16": 2.0**-11}
_LOST: Dict[str, float] = {
    "float64": 3 * 2.0**-1022,
    "float32": 3 * 2.0**-126,
    "bfloat16": 3 * 2.0**-126,
    "float16": 2.0**-24,
}
# Roundings of a division within its contract (docs/bounds.md, section 1).
_DIVISION = 3


def sums_to_one(q: np.ndarray, dtype: str, axis: int = -1) -> Any:
    """Whether rows sum to 1 but for rounding: an array of truth values without the class axis.

    ``q`` holds probability targets, exact values of a format, as float64; ``dtype`` is the name of that format.
    """
    k = q.shape[axis]
    u = _ROUNDOFF[dtype]
    wide = min(u, 2.0**-24)
    # The sum of the exponentials, the quotient; in 16 bits the rounded sum and the rounded quotient or output.
    logarithm = (max(k - 1, 0) + _DIVISION) * wide / (1 - wide) - (2 * np.log1p(-u) if u > wide else 0.0)
    size = np.abs(q).sum(axis=axis)
    # The last term is the error of adding up here, in float64.
    share = np.expm1(logarithm) + max(k - 1, 0) * 2.0**-53
    return np.abs(q.sum(axis=axis) - 1.0) <= share * size + k * _LOST[dtype]
