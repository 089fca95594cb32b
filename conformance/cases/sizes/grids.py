"""Grids: rows beyond the first block of a kernel that gives a row to a warp, rows at every alignment, class axes before
many positions, rows that just fit a block's memory, and an image of more than one block.

Where kernels of frameworks and compilers for GPUs divide their work is told in docs/gpu.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from lossproof.adapters.protocol import DTYPES, OPS, Problem
from lossproof.cases.deck_part import DeckPart
from lossproof.cases.drawn import drawn
from lossproof.cases.family import LN2
from lossproof.cases.signatures import WHOLE_IN
from lossproof.cases.sizes.repeated_draws import repeated_bell, repeated_cotangent
from lossproof.core.call import Call
from lossproof.core.formats import FORMATS

_FAMILY = "last_class"
_LOSS_FAMILY = "long_batch"
# Classes of rows that a warp or a part of one takes, around the powers of two that its kernels are made for.
_WARP_CLASSES = (1, 2, 4, 7, 16, 31, 64, 100, 125, 128, 200, 256, 500, 512, 600, 777, 1000, 1024)
_THREADS, _WARP, _PAIRED_TO = 128, 32, 128
# Beyond what a warp takes: rows of an odd width lie at each of the eight places that 16 bits have between two vectors.
_UNALIGNED, _VECTOR_PLACES = (1025, 2049), 9
# Class axis before so many positions: more than a tile of 64 beside 64 classes and more, more than a block of 1024
# threads has.
_BEFORE = ((2, 64, 65), (1, 65, 1025), (2, 129, 96), (3, 1000, 5))
# More classes than a column of 4096 that one block adds up, for one op in each format but the widest.
_COLUMN = (1, 4097, 33)
# The memory of a block, of which a reduction takes a number for each of its 32 warps.
_BLOCK_BYTES, _WARPS = 48 * 1024, 32
# Positions of one image, of which a block takes 1024 and 128 blocks are one: the first number that makes two of them.
_IMAGE = 1024 * 255 + 1
_WIDEST = 64


def grid_calls(dtype: str, part: DeckPart) -> Iterator[Call]:
    """Draw the calls of a dtype, which go where a new shape costs nothing: each shape has two ops by turns."""
    turn = DTYPES.index(dtype)
    for j, k in enumerate(_WARP_CLASSES):
        for op in (OPS[(j + turn) % 4], OPS[(j + turn + 2) % 4]):
            yield from _rows(part, dtype, op, (2 * rows_of_a_block(k) + 1, k), "several blocks of rows")
    for j, k in enumerate(_UNALIGNED):
        yield from _rows(part, dtype, OPS[(j + turn) % 2], (_VECTOR_PLACES, k), "rows at every alignment")
        yield from _rows(part, dtype, OPS[2 + (j + turn) % 2], (_VECTOR_PLACES, k), "rows at every alignment")
    for j, shape in enumerate(_BEFORE):
        yield from _rows(part, dtype, OPS[(j + turn) % 2], shape, "classes before many positions", axis=1)
    if FORMATS[dtype].bits < _WIDEST:
        yield from _rows(part, dtype, OPS[(turn + 1) % 2], _COLUMN, "a long column", axis=1)
    held = block_classes(dtype)
    for j, k in enumerate((held - 16 // _bytes(dtype), held)):
        yield from _rows(part, dtype, OPS[(j + turn) % 2], (2, k), "a row in the memory of a block")
    # With a gradient in one format; values in one of 16 bits, if its range has their sum.
    asked = dtype == WHOLE_IN or (FORMATS[dtype].is_narrow and FORMATS[dtype].max > 2 * _IMAGE)
    if asked and part.keeps("nll_loss", _LOSS_FAMILY, dtype, (1, 2, _IMAGE), 1):
        yield drawn(part, partial(_image, part, dtype))


def rows_of_a_block(k: int) -> int:
    """Return the rows of ``k`` classes that a block of 128 threads takes: a power of two of threads, at most a warp,
    takes one row, or two rows of up to 128 classes."""
    return _THREADS // min(_WARP, 1 << (k - 1).bit_length()) * (2 if k <= _PAIRED_TO else 1)


def block_classes(dtype: str) -> int:
    """Return the number of classes with which a row fills a block's memory beside its reduction."""
    return (_BLOCK_BYTES - _WARPS * max(_bytes(dtype), 4)) // _bytes(dtype)


def _bytes(dtype: str) -> int:
    return FORMATS[dtype].bits // 8


def _rows(part: DeckPart, dtype: str, op: str, shape: tuple[int, ...], says: str, *, axis: int = -1) -> Iterator[Call]:
    """One call, if the part keeps it."""
    if part.keeps(op, _FAMILY, dtype, shape, axis):
        yield drawn(part, partial(_row_call, part, dtype, op, shape, says, axis))


def _row_call(part: DeckPart, dtype: str, op: str, shape: tuple[int, ...], says: str, axis: int) -> Call:
    """Every row has most of its sum in its last class, and no two rows next to each other are the same."""
    pick, fmt, k = part.picker("grid", op, shape), FORMATS[dtype], shape[axis]
    x = repeated_bell(pick, shape)
    np.moveaxis(x, axis, -1)[..., -1] += k.bit_length() * LN2 + 2
    x = fmt.round(-np.abs(x) if op == "nll_loss" else x)
    if op in OPS[:2]:
        problem = Problem(op, dtype, x, cotangent=repeated_cotangent(pick, fmt, shape), axis=axis)
    else:
        n = shape[0]
        labels = np.arange(n) * 7 % k
        labels[-1] = k - 1
        # Rows alone, so that none hides behind the others.
        cotangent = repeated_cotangent(pick, fmt, (n,))
        problem = Problem(op, dtype, x, labels, cotangent=cotangent, reduction="none", axis=axis)
    return Call(problem, _FAMILY, f"{part.provenance}, {says}", tier="free")


def _image(part: DeckPart, dtype: str) -> Call:
    """An image whose last position has by far the largest loss."""
    pick = part.picker("grid", "image")
    x = -np.abs(repeated_bell(pick, (1, 2, _IMAGE)))
    labels = np.arange(_IMAGE)[None] % 2
    x[0, :, -1] = -float(_IMAGE)
    cotangent = np.ones(()) if dtype == WHOLE_IN else None
    problem = Problem("nll_loss", dtype, FORMATS[dtype].round(x), labels, cotangent=cotangent, axis=1)
    return Call(problem, _LOSS_FAMILY, f"{part.provenance}, an image of two blocks", tier="free")
