"""Shapes: every number of classes, and every number of rows, up to a large one.

What a kernel loses at the end of a row or of a batch shows: the last class has most of the sum, and the last row most
of the loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from lossproof.adapters.protocol import DTYPES
from lossproof.cases.family import LN2
from lossproof.cases.picker import SeededPicker
from lossproof.cases.sizes.repeated_draws import repeated_bell
from lossproof.cases.sweeps.forms import swept_calls
from lossproof.cases.sweeps.kind import SweepKind, family_of
from lossproof.core.call import Call
from lossproof.core.formats import F64, FORMATS

_MOST_CLASSES, _MOST_ROWS = 300_000, 100_000
_TOGETHER = 64
# Classes of a batch, and the share of the rows that the loss of the last one outweighs.
_CLASSES, _OUTWEIGHED = 4, 64


def _wide(dtype: str, k: int) -> F64:
    """One row of k classes, most of the sum in the last."""
    x = repeated_bell(SeededPicker(f"sweep/widths/{k}"), (1, k))
    x[:, -1] += k.bit_length() * LN2 + 2
    return FORMATS[dtype].round(x)


def _tall(dtype: str, n: int) -> F64:
    """So many rows; in the last one the class of the label is far below the others."""
    x = repeated_bell(SeededPicker(f"sweep/batches/{n}"), (n, _CLASSES))
    x[-1, 0] -= 8 + n / _OUTWEIGHED
    return FORMATS[dtype].round(x)


def _kind(
    name: str,
    says: str,
    most: int,
    rows: Callable[[str, int], F64],
    swept: str,
    reduction: str,
    label: Callable[[int], int],
) -> SweepKind:
    def make(op: str, dtype: str, bin: int) -> Iterator[Call]:
        size = bin + 1
        yield from swept_calls(
            op,
            dtype,
            family_of(name, bin),
            -np.abs(rows(dtype, size)) if op == "nll_loss" else rows(dtype, size),
            derivatives=False,
            label=label(size),
            reduction=reduction,
        )

    return SweepKind(
        name=name,
        says=says,
        dtypes=DTYPES,
        bins=lambda dtype: most,
        together=lambda dtype: _TOGETHER,
        make=make,
        span=lambda dtype, bin: (bin + 1.0, bin + 1.0),
        swept=swept,
        inputs=lambda dtype: 1,
    )


EVERY_WIDTH = _kind(
    "widths",
    "every number of classes up to 300 000, most of the sum in the last one, with the gradient",
    _MOST_CLASSES,
    _wide,
    "classes",
    "none",
    lambda k: k - 1,
)
EVERY_BATCH = _kind(
    "batches",
    "every number of rows up to 100 000, most of the mean in the last one, with the gradient",
    _MOST_ROWS,
    _tall,
    "rows",
    "mean",
    lambda n: 0,
)
