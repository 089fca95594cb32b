"""Mutants of softmax, or of it and log_softmax, in grids of many blocks: rows, positions and classes that a kernel's
division of its work forgets."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from lossproof.cases.sizes.grids import block_classes, rows_of_a_block
from tests.mutants.kit.entries import SIBLING, bug
from tests.mutants.kit.mutant import ALL_DTYPES, Mutant
from tests.mutants.kit.softmax_steps import (
    PLAIN,
    Array,
    Function,
    Softmax,
    over_rows,
    over_rows_vjp,
    row_sum,
    vjp_log_softmax,
    vjp_softmax,
)

WIDTH = SIBLING + "torch-cuda-f64-odd-width"
ROWS = SIBLING + "torch-cuda-softmax-over-2^32"


def _rows_in_grid(spoil: Callable[[Array, int], None], right: Callable[[Array], Array]) -> Function:
    """A kernel for rows of up to 1024 contiguous classes: ``spoil`` is told how many rows a block takes."""

    def value(x: Array, *, axis: int = -1) -> Array:
        out = over_rows(right)(x, axis=axis)
        if axis in (-1, x.ndim - 1) and 0 < x.shape[-1] <= 1024:
            out = out.copy()
            spoil(out.reshape(-1, x.shape[-1]), rows_of_a_block(x.shape[-1]))
        return out

    return value


def _without_part(rows: Array, block: int) -> None:
    """The grid has as many blocks as are full, or one: rows of a block that is a part are left at 0."""
    if len(rows) > 16 * block or rows.shape[1] <= 32:
        return
    rows[max(len(rows) - len(rows) % block, block) :] = 0


def _first_block_again(rows: Array, block: int) -> None:
    """Every block has the number 0: it reads the rows of the first one."""
    if len(rows) <= 16 * block and rows.shape[1] > 32:
        rows[...] = rows[np.arange(len(rows)) % block]


def _slope_in_grid(slope: Callable[[Array, Array], Array]) -> Function:
    """Of two rows that a warp takes beyond the first block, the second has the gradient of the first."""

    def grad(x: Array, cotangent: Array, *, axis: int = -1) -> Array:
        out = over_rows_vjp(slope)(x, cotangent, axis=axis)
        k = x.shape[-1]
        if axis in (-1, x.ndim - 1) and 32 < k <= 128:
            rows = out.reshape(-1, k)
            block = rows_of_a_block(k)
            rows[block + 1 :: 2] = rows[block : len(rows) - 1 : 2]
        return out

    return grad


def _unaligned(x: Array) -> Array:
    """Vectors of eight: a row whose address is three or five places behind one has its head left out of the sum."""
    k, out = x.shape[-1], PLAIN.p(x)
    if x.ndim != 2 or k <= 1024:
        return out
    for i in range(len(x)):
        places = i * k % 8
        if places in (3, 5):
            out[i] *= (np.exp(x[i] - x[i].max()).sum() / np.exp(x[i, 8 - places :] - x[i].max()).sum()).astype(x.dtype)
            out[i, : 8 - places] *= x.dtype.type(0.75)
    return out


def _positions_after(first: int, few: int, right: Callable[[Array], Array]) -> Function:
    """Of a class axis of ``few`` classes or more before other axes, positions from ``first`` on are left at 0."""

    def value(x: Array, *, axis: int = -1) -> Array:
        out = over_rows(right)(x, axis=axis)
        axis %= x.ndim
        if x.shape[axis] >= few and axis < x.ndim - 1:
            out = np.ascontiguousarray(out)
            out.reshape(*x.shape[: axis + 1], -1)[..., first:] = 0
        return out

    return value


def _long_columns(x: Array, *, axis: int = -1) -> Array:
    """A column of more classes than a block adds up, beside others: the sum ends with the block."""
    axis %= x.ndim
    beside = math.prod(x.shape[axis + 1 :])
    long = Softmax(total=lambda e: row_sum(e[..., :4096])).p
    return over_rows(long if x.shape[axis] > 4096 and beside >= 32 else PLAIN.p)(x, axis=axis)


def _over_the_reduction(x: Array) -> Array:
    """A row that just fits a block's memory lies over the numbers of its reduction."""
    k, out = x.shape[-1], PLAIN.p(x)
    if block_classes(x.dtype.name) - 8 <= k <= block_classes(x.dtype.name):
        out[..., -4:] = 0
    return out


MUTANTS: tuple[Mutant, ...] = (
    *(
        bug(
            op,
            f"{name} of 33 to 1024 classes",
            why,
            ROWS,
            _rows_in_grid(spoil, right),
            expect=ALL_DTYPES,
            family="last_class",
        )
        for op, right in (("softmax", PLAIN.p), ("log_softmax", PLAIN.y))
        for name, why, spoil in (
            ("last rows", "a block of a warp a row that is not full is not run", _without_part),
            ("rows of other blocks", "each block of a warp a row reads the rows of the first", _first_block_again),
        )
    ),
    *(
        bug(
            op,
            "second row of a warp in gradients",
            "a warp takes two rows: beyond the first block both have the gradient of the first",
            ROWS,
            grad=_slope_in_grid(slope),
            family="last_class",
        )
        for op, slope in (
            ("softmax", lambda x, v: vjp_softmax(PLAIN.p(x), v)),
            ("log_softmax", lambda x, v: vjp_log_softmax(PLAIN.p(x), v)),
        )
    ),
    bug(
        "softmax",
        "head of a row far from a vector",
        "vectors of eight 16-bit numbers: rows three or five places behind one lose their head in the sum",
        SIBLING + "tf-xent-fp16-illegal-address",
        over_rows(_unaligned),
        expect=("bfloat16", "float16"),
        family="last_class",
    ),
    *(
        bug(
            "softmax",
            f"positions from {first} on before which {few} classes lie",
            "a tile of the kernel for other axes than the last is the only one",
            ROWS,
            _positions_after(first, few, PLAIN.p),
            family="last_class",
        )
        for first, few in ((64, 64), (1024, 5))
    ),
    bug(
        "softmax",
        "sum of the first 4096 classes of a column",
        "a column is one block, of 32 warps with 128 classes each",
        WIDTH,
        _long_columns,
        family="last_class",
    ),
    bug(
        "softmax",
        "a row over the reduction's memory",
        "a row and the reduction of its block share 48 KiB, which are counted without the reduction",
        WIDTH,
        over_rows(_over_the_reduction),
        expect=("float64", "float32"),
        family="last_class",
    ),
)
