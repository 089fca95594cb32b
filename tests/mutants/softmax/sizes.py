"""Mutants of softmax, or of it and log_softmax, in wide rows, tall batches and many axes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.mutants.kit.entries import SIBLING, both, bug, vjp_bug
from tests.mutants.kit.mutant import ALL_DTYPES, Mutant
from tests.mutants.kit.softmax_steps import (
    PLAIN,
    Array,
    Function,
    Softmax,
    over_rows,
    padded,
    row_max,
    row_sum,
    vjp_log_softmax,
    vjp_softmax,
)

WIDTH = SIBLING + "torch-cuda-f64-odd-width"
NAN = SIBLING + "torch-linear-cross-entropy-masked-row"
ROWS = SIBLING + "torch-cuda-softmax-over-2^32"
_GARBAGE = 0.75


def _first_1024(x: Array) -> Array:
    return row_max(x[..., :1024])


def _without_last(e: Array) -> Array:
    return row_sum(e[..., :-1] if e.shape[-1] >= 2**16 else e)


def _to_1101(e: Array) -> Array:
    return row_sum(e[..., :1101])


def _in_band(low: int, high: int) -> Callable[[Array], bool]:
    return lambda x: low <= x.shape[-1] <= high


# Class counts for which another kernel is chosen: from a power of two on, or from a limit in between.
BANDS = {
    "1024 to 1280": _in_band(1024, 1280),
    "1281 to 2047": _in_band(1281, 2047),
    "2048 to 4095": _in_band(2048, 4095),
    "4098 to 8191": _in_band(4098, 8191),
    "8193 on": _in_band(8193, 2**62),
    "65536 on": _in_band(2**16, 2**62),
}


def _spoilt(a: Array) -> Array:
    """Every seventh class holds what was there before."""
    out = a.copy()
    out[..., ::7] = _GARBAGE
    return out


def _value_in(band: Callable[[Array], bool], right: Callable[[Array], Array]) -> Function:
    return over_rows(lambda x: _spoilt(right(x)) if band(x) else right(x))


def _slope_in(band: Callable[[Array], bool]) -> Callable[[Array, Array], Array]:
    return lambda x, v: _spoilt(vjp_softmax(PLAIN.p(x), v)) if band(x) else vjp_softmax(PLAIN.p(x), v)


def _log_slope_in(band: Callable[[Array], bool]) -> Callable[[Array, Array], Array]:
    return lambda x, v: _spoilt(vjp_log_softmax(PLAIN.p(x), v)) if band(x) else vjp_log_softmax(PLAIN.p(x), v)


def _unwritten(first: int, right: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Rows from ``first`` on are left at 0."""

    def f(x: Array) -> Array:
        out = right(x)
        flat = out.reshape(-1, out.shape[-1])
        flat[first:] = 0
        return flat.reshape(out.shape)

    return f


def _wrapped(period: int, right: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """The row's number is held in few bits."""

    def f(x: Array) -> Array:
        out = right(x)
        flat = out.reshape(-1, out.shape[-1])
        return flat[np.arange(len(flat)) % period].reshape(out.shape)

    return f


def _six_axes(x: Array, *, axis: int = -1) -> Array:
    right = over_rows(PLAIN.p)(x, axis=axis)
    # The last two axes change places while the kernel for more than five axes runs.
    return over_rows(PLAIN.p)(x, axis=(axis % 6 - 1) % 6) if x.ndim == 6 else right


def _tile(width: int) -> Callable[[Array], Array]:
    """A running maximum that starts with the first tile: -inf minus -inf where that holds nothing else."""

    def f(x: Array) -> Array:
        blank = np.isneginf(x[..., :width]).all(axis=-1, keepdims=True) & (x.shape[-1] > width)
        return np.where(blank, np.nan, PLAIN.p(x)).astype(x.dtype)

    return f


def _log_tile(width: int) -> Callable[[Array], Array]:
    def f(x: Array) -> Array:
        blank = np.isneginf(x[..., :width]).all(axis=-1, keepdims=True) & (x.shape[-1] > width)
        return np.where(blank, np.nan, PLAIN.y(x)).astype(x.dtype)

    return f


def _misaligned(right: Callable[[Array], Array]) -> Function:
    """Vector loads take a row's address for a multiple of 16: the first class of other rows is lost."""

    def value(x: Array, *, axis: int = -1) -> Array:
        out = over_rows(right)(x, axis=axis)
        if x.ndim != 2 or axis not in (-1, 1) or x.shape[1] <= 1024:
            return out
        first = x.__array_interface__["data"][0]
        rows = [i for i in range(len(x)) if (first + i * x.strides[0]) % 16]
        out = out.copy()
        out[rows] = over_rows(right)(np.concatenate([x[rows, 1:], x[rows, :1] - 1], axis=1))
        return out

    return value


def _without_nan_in_wide_rows(x: Array) -> Array:
    return np.where(np.isnan(x), -np.inf, x).astype(x.dtype) if x.shape[-1] > 2**14 else x


def _without_nan_in_the_rest(x: Array) -> Array:
    """Classes that are left over where eight are read at once, in rows of more than a block."""
    out, rest = x.copy(), x.shape[-1] % 8
    if x.shape[-1] > 1000 and rest:
        out[..., -rest:] = np.where(np.isnan(x[..., -rest:]), -np.inf, x[..., -rest:])
    return out


def _without_masked_blocks(x: Array) -> Array:
    """Blocks of 32 classes without a number are skipped, also those that hold NaN."""
    k = x.shape[-1]
    if not x.size:
        return x
    blocks = padded(x, 32, -np.inf)
    blocks = blocks.reshape(*blocks.shape[:-1], -1, 32)
    empty = ~(np.isfinite(blocks) | np.isposinf(blocks)).any(axis=-1, keepdims=True)
    return np.where(empty, -np.inf, blocks).reshape(*x.shape[:-1], -1)[..., :k].astype(x.dtype)


MUTANTS: tuple[Mutant, ...] = (
    *both(
        "NaN lost in rows of more than 16384",
        "the kernel for wide rows takes a maximum that drops NaN",
        NAN,
        Softmax(enter=_without_nan_in_wide_rows),
        expect=ALL_DTYPES,
        family="nan_row",
    ),
    *both(
        "NaN lost in the rest of a wide row",
        "the classes that are left over where eight are read at once are compared, and NaN compares as less",
        NAN,
        Softmax(enter=_without_nan_in_the_rest),
        expect=ALL_DTYPES,
        family="nan_row",
    ),
    *both(
        "blocks without a number are skipped",
        "a block whose maximum is -inf is masked, and a maximum that drops NaN says so of one with NaN, too",
        NAN,
        Softmax(enter=_without_masked_blocks),
        expect=ALL_DTYPES,
        family="nan_row",
    ),
    *both(
        "maximum of the first 1024 classes",
        "one block's maximum",
        WIDTH,
        Softmax(shift=_first_1024),
        family="late_peak",
    ),
    *both(
        "last class lost from 65536 on",
        "an index of 16 bits ends one class early",
        WIDTH,
        Softmax(total=_without_last),
        expect=ALL_DTYPES,
        family="last_class",
    ),
    *both("sum stops at class 1101", "a loop's end for another shape", WIDTH, Softmax(total=_to_1101)),
    *(
        bug(
            "softmax",
            f"garbage in rows of {name} classes",
            "another kernel, another loop",
            WIDTH,
            _value_in(band, PLAIN.p),
        )
        for name, band in BANDS.items()
    ),
    *(
        vjp_bug(
            "softmax", f"garbage in gradients of {name} classes", "the backward kernel alone", WIDTH, _slope_in(band)
        )
        for name, band in BANDS.items()
    ),
    *(
        vjp_bug(
            "log_softmax",
            f"garbage in gradients of {name} classes",
            "the backward kernel alone",
            WIDTH,
            _log_slope_in(band),
        )
        for name, band in BANDS.items()
    ),
    bug(
        "log_softmax",
        "rows from 5000 unwritten",
        "a grid for another batch",
        ROWS,
        over_rows(_unwritten(5000, PLAIN.y)),
        family="long_batch",
    ),
    bug(
        "softmax",
        "rows from 65535 unwritten",
        "a grid has 65 535 blocks",
        ROWS,
        over_rows(_unwritten(65_535, PLAIN.p)),
        expect=ALL_DTYPES,
        family="long_batch",
    ),
    bug(
        "softmax",
        "row number in 16 bits",
        "rows from 65 536 on are those from 0 on",
        ROWS,
        over_rows(_wrapped(2**16, PLAIN.p)),
        family="long_batch",
    ),
    bug("softmax", "another axis of six", "axes of a sixth rank", SIBLING + "keras3-sparse-axis-squeeze", _six_axes),
    *(
        bug(
            op,
            f"first tile of {width} at -inf",
            "the running maximum is -inf after the first tile",
            SIBLING + "torch-linear-cross-entropy-masked-row",
            over_rows(f(width)),
            family="late_start",
        )
        for op, f in (("softmax", _tile), ("log_softmax", _log_tile))
        for width in (32, 512, 16_384)
    ),
    *(
        bug(op, "misaligned rows above 1024 classes", "vector loads at any address", WIDTH, _misaligned(right))
        for op, right in (("softmax", PLAIN.p), ("log_softmax", PLAIN.y))
    ),
)
