"""The vectorised oracle for float64: double-double evaluation with a certified radius.

As the fast oracle, it is a profile-W implementation of the model, of a format whose roundoff is 2^-90: some 2^10
times the errors of double-double operations, its exp and log. The tests audit every radius against Arb.
"""

from __future__ import annotations

import numpy as np

from lossproof.core.batch import Batch, Bools
from lossproof.core.formats import Format
from lossproof.truth.bounds.error_model import Model
from lossproof.truth.oracle.certified import evaluate
from lossproof.truth.oracle.double_double import LIMIT
from lossproof.truth.oracle.enclosure import Core
from lossproof.truth.oracle.number_systems import DoubleDouble
from lossproof.truth.row_quantities import Rows

# emin makes the underflow term 3 * 2^-1060, far above what double-double loses there and far below float64's own.
DOUBLE_DOUBLE_MODEL = Model(Format("double-double", 90, -1060, 1023, bits=128), "W")
# Inputs from here on may overflow in double-double.
LARGEST = LIMIT / 2.0**40
# Entries of a row that are looked at at once.
_PIECE = 1 << 14


def suitable(batch: Batch) -> Bools:
    """The problems (B,) within double-double's range; the others go to Arb."""
    parts = [a for a in (batch.x, batch.w, batch.cot, batch.tan, batch.tan_q) if a is not None]
    suits = np.ones(batch.x.shape[0], dtype=bool)
    for a in parts:
        # Piece by piece: a row may be as large as memory allows once.
        for start in range(0, a.shape[-1], _PIECE):
            size = np.abs(a[..., start : start + _PIECE])
            suits &= ~((size >= LARGEST) & (size < np.inf)).reshape(a.shape[0], -1).any(axis=1)
    return suits


def enclosures_in_double_double(batch: Batch, rows: Rows) -> Core:
    """Enclose all outputs of a batch of suitable problems."""
    return evaluate(DoubleDouble(), DOUBLE_DOUBLE_MODEL, batch, rows)
