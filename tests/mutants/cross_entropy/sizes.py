"""Mutants of cross_entropy in wide rows and in tall and padded batches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.mutants.kit.entries import INDEX, SIBLING, gradient_bug, loss_bug
from tests.mutants.kit.loss_mistakes import counted
from tests.mutants.kit.loss_steps import CORRECT, Case, Loss, sum_of_weights
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.softmax_steps import F16, PLAIN, Array
from tests.mutants.kit.sources import IGNORED, WEIGHT

# Rows of a tall batch, more than most calls have.
_TALL = 1000
ROWS = SIBLING + "torch-cuda-nll2d-backward-int32"
MEAN = SIBLING + "mixed-framework-gradient-accumulation-mean"


def _unwritten(first: int) -> Callable[[Case, Array], Array]:
    def mask(case: Case, a: Array) -> Array:
        out = CORRECT.mask(case, a)
        flat = out.reshape(case.kept.size, -1)
        flat[first:] = 0
        return flat.reshape(out.shape)

    return mask


def _wrapped(y: Array) -> Array:
    flat = y.reshape(-1, y.shape[-1])
    return flat[np.arange(len(flat)) % 2**16].reshape(y.shape)


def _mean_of_chunks(size: int) -> Callable[[Case, Array], Array]:
    def mean(case: Case, rows: Array) -> Array:
        losses, scales = rows.reshape(-1), case.scale.reshape(-1)
        starts = range(0, max(losses.size, 1), size)
        parts = [
            np.sum(losses[i : i + size], dtype=rows.dtype) / np.sum(scales[i : i + size], dtype=rows.dtype)
            for i in starts
        ]
        return np.mean(np.array(parts), dtype=rows.dtype)

    return mean


def _padded(case: Case) -> Array:
    n = case.kept.size
    plain = case.labels is not None and not case.weighted and bool(case.kept.all())
    return counted(case, -(-n // 8) * 8) if plain and n > 64 else sum_of_weights(case)


def _spoilt(a: Array) -> Array:
    out = a.copy()
    out[..., ::7] = 0.75
    return out


def _band(case: Case, p: Array, c: Array) -> Array:
    z = CORRECT.slope(case, p, c)
    return _spoilt(z) if 2048 <= case.k < 4096 or case.k >= 8193 else z


def _rows_of_tall_batches(case: Case) -> Array:
    tall = case.labels is not None and case.kept.size > _TALL
    return counted(case, int(case.kept.sum())) if tall else sum_of_weights(case)


def _saturated(rows: Array) -> Array:
    """Infinite losses of a tall batch are taken for large ones."""
    largest = np.asarray(np.finfo(rows.dtype).max / 4, rows.dtype)
    return np.sum(np.minimum(rows, largest) if rows.size > _TALL else rows)


def _times_kept(case: Case, a: Array) -> Array:
    return a * case.kept if case.kept.size > _TALL else CORRECT.mask(case, a)


def _counted_one_by_one(case: Case) -> Array:
    """The count of samples in the format, one addition each: it stops at 2^precision."""
    image = case.kept.ndim > 1 and case.labels is not None and not case.weighted
    if not image or case.io.itemsize > 2:
        return sum_of_weights(case)
    return np.minimum(sum_of_weights(case), case.x.dtype.type(2048 if case.io == F16 else 256))


MUTANTS: tuple[Mutant, ...] = (
    gradient_bug(
        "gradients of tall batches over the rows",
        "the kernel for more than 1000 rows divides gradients by their number, not by the sum of the labels' weights",
        WEIGHT,
        Loss(denominator=_rows_of_tall_batches),
        targets=INDEX,
        family="long_batch",
    ),
    loss_bug(
        "infinite losses saturate in tall batches",
        "the kernel for more than 1000 rows adds up numbers alone",
        SIBLING + "paddle-gpu-xent-clip-max-inf",
        Loss(total=_saturated),
        targets=INDEX,
        expect=("float32",),
        family="masked_target",
    ),
    loss_bug(
        "ignored rows times 0 in tall batches",
        "the kernel for more than 1000 rows multiplies by the mask: NaN stays",
        IGNORED,
        Loss(mask=_times_kept),
        targets=INDEX,
        family="ignored_garbage",
    ),
    loss_bug(
        "count of samples in the format",
        "the kernel for images adds its count up in 16 bits, sample by sample",
        SIBLING + "torch-fp16-mean-overflow-nan",
        Loss(denominator=_counted_one_by_one),
        targets=INDEX,
        expect=("bfloat16", "float16"),
        family="long_batch",
    ),
    loss_bug(
        "rows from 65535 unwritten",
        "a grid has 65 535 blocks: losses and gradients of the other rows stay 0",
        ROWS,
        Loss(mask=_unwritten(65_535), mask_slope=_unwritten(65_535)),
        family="long_batch",
    ),
    loss_bug(
        "row number in 16 bits",
        "rows from 65 536 on are those from 0 on",
        ROWS,
        Loss(logp=lambda x: _wrapped(PLAIN.y(x)), prob=lambda x: _wrapped(PLAIN.p(x))),
        family="long_batch",
    ),
    *(
        loss_bug(
            f"mean of means of {size} rows",
            "chunks with few rows get the same say",
            MEAN,
            Loss(mean=_mean_of_chunks(size)),
            family="long_batch",
        )
        for size in (4096, 8192)
    ),
    loss_bug(
        "mean over rows padded to 8",
        "the count is that of the padded batch",
        SIBLING + "torch-mlir-sce-ignore-index-mean",
        Loss(denominator=_padded),
        targets=INDEX,
        family="long_batch",
        expect=("float32",),
    ),
    gradient_bug(
        "garbage in gradients of wide rows",
        "the backward kernel of 2048 to 4095 and from 8193 classes on",
        SIBLING + "torch-cuda-f64-odd-width",
        Loss(slope=_band),
    ),
)
