"""Gaps: every number of a format as the difference of the logits of a row, with one other class and with two."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lossproof.cases.sweeps.forms import swept_calls
from lossproof.cases.sweeps.kind import SweepKind, family_of
from lossproof.core.call import Call
from lossproof.core.formats import F64, FORMATS

# Numbers of a bin: those of one exponent in 16 bits, and so many in 32 that a call of them is quick to judge.
_LONG_BIN = 1 << 18
_CHUNK_16, _CHUNK_32 = 1 << 14, 1 << 20


def _bin_size(dtype: str) -> int:
    fmt = FORMATS[dtype]
    return _LONG_BIN if fmt.bits > 16 else 1 << (fmt.precision - 1)


def gaps_of(dtype: str, bin: int) -> F64:
    """The numbers of a bin, in the order of their bit patterns: -0 and one NaN are among those of all bins."""
    size = _bin_size(dtype)
    values = FORMATS[dtype].of_bits(np.arange(bin * size, (bin + 1) * size, dtype=np.uint64))
    missing = np.isnan(values)
    # Of NaN there is one: payloads are no part of a problem.
    return np.append(values[~missing], np.nan) if missing.any() else values


def gap_rows(gaps: F64, k: int) -> F64:
    """Rows ``(n, k)`` of k = 2 or 3 classes with these gaps: in the last of two, or in the first of three."""
    rows = np.zeros((len(gaps), k))
    rows[:, gap_class(k)] = gaps
    return rows


def gap_class(k: int) -> int:
    """The class that has the gap, in a row of k classes; the others have the logit 0."""
    return 1 if k == 2 else 0


def _make(family: str, derivatives: bool, op: str, dtype: str, bin: int) -> Iterator[Call]:
    gaps = gaps_of(dtype, bin)
    for k in (2, 3):
        # The loss of the class with the gap, and that of another one: nll_loss has nothing to say of the latter.
        label = 1 if op != "nll_loss" else gap_class(k)
        rows = gap_rows(gaps, k)
        yield from swept_calls(op, dtype, family, rows, derivatives=derivatives, label=label)


def _span(dtype: str, bin: int) -> tuple[float, float]:
    gaps = gaps_of(dtype, bin)
    finite = gaps[np.isfinite(gaps)]
    return (float(finite.min()), float(finite.max())) if finite.size else (float(gaps[0]), float(gaps[0]))


def _kind(name: str, says: str, dtypes: tuple[str, ...], chunk: int, *, derivatives: bool) -> SweepKind:
    return SweepKind(
        name=name,
        says=says,
        dtypes=dtypes,
        bins=lambda dtype: (1 << FORMATS[dtype].bits) // _bin_size(dtype),
        together=lambda dtype: chunk // _bin_size(dtype),
        make=lambda op, dtype, bin: _make(family_of(name, bin), derivatives, op, dtype, bin),
        span=_span,
        swept="gap",
        inputs=_bin_size,
    )


GAPS16 = _kind(
    "gaps16",
    "every number of a 16-bit format as the gap of rows of two and of three classes, with all derivatives",
    tuple(f.name for f in FORMATS.values() if f.bits == 16),
    _CHUNK_16,
    derivatives=True,
)
GAPS32 = _kind(
    "gaps32",
    "every number of float32 as the gap of rows of two and of three classes, with the gradient",
    tuple(f.name for f in FORMATS.values() if f.bits == 32),
    _CHUNK_32,
    derivatives=False,
)
