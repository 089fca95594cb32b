"""Upstream bugs of ignore_index, weights and denominators in the losses. Each names its entry of bugs.json."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .bugs import INDEX, loss_bug
from .loss import NLL, Case, Loss, relabelled, slope
from .losses import counted
from .parts import F16, PLAIN, Array, through


def _stale(when: Callable[[Case], bool]) -> Callable[[Case, Array], Array]:
    return lambda case, rows: np.where(case.kept, rows, 1.5 if when(case) else 0).astype(rows.dtype)


def _shards(case: Case, rows: Array) -> Array:
    halves = zip(np.array_split(rows.reshape(-1), 2), np.array_split(case.scale.reshape(-1), 2), strict=True)
    return np.mean([np.sum(r) / np.sum(w) for r, w in halves if r.size])


def _without_ignored_class(case: Case, rows: Array) -> Array:
    inside = case.ignore_index is not None and 0 <= case.ignore_index < case.k
    if case.labels is None or not inside or case.eps:
        return rows
    x = case.x.copy()
    x[..., case.ignore_index] = -np.inf
    y = np.take_along_axis(PLAIN.y(x), case.safe[..., None], axis=-1)[..., 0]
    return np.where(case.kept, -case.w[case.safe] * y, 0).astype(rows.dtype)


def _n_minus_ignored(case: Case) -> Array:
    return np.sum(case.scale) + (np.sum(~case.kept) if case.ignore_index == -1 else 0)


def _all_rows(case: Case) -> Array:
    return counted(case, case.kept.size)


def _unless_sentinel_positive(case: Case) -> Array:
    inside = case.ignore_index is None or case.ignore_index >= 0
    return np.sum(case.scale, dtype=case.x.dtype) if inside else _all_rows(case)


def _zero_if_not_positive(case: Case, z: Array) -> Array:
    dead = case.reduction == "mean" and case.labels is not None and not case.scale.sum() > 0
    return np.where(case.kept[..., None] & (not dead), z, 0).astype(z.dtype)


def _only_ignored_unwritten(case: Case, p: Array, c: Array) -> Array:
    return np.where(case.kept[..., None], slope(case, p, c), p)


MUTANTS = (
    loss_bug(
        "no gradient for a sum of weights that is not positive",
        "the guard of the division is total_weight > 0",
        "torch-nll-negative-weight-zero-grad (pytorch/pytorch#64256)",
        replace(NLL, mask_slope=_zero_if_not_positive),
        op="nll_loss",
    ),
    loss_bug(
        "float16 sum and count",
        "numerator and denominator are float16: 4096 losses of 20 are infinite",
        "torch-fp16-mean-overflow-nan (pytorch/pytorch#61523)",
        Loss(
            total=lambda rows: through(F16)(np.sum(rows)),
            denominator=lambda case: through(F16)(np.sum(case.scale, dtype=case.x.dtype)),
        ),
        expect=("float16",),
        family="long_batch",
    ),
    loss_bug(
        "gather first, mask by multiplication",
        "0 times the NaN or infinity of an ignored row",
        "torch-refs-nll-ignore-index-gather (pytorch/pytorch#192685)",
        replace(
            NLL,
            read=lambda case: relabelled(case, case.safe),
            mask=lambda case, rows: rows * case.kept,
        ),
        op="nll_loss",
        family="ignored_garbage",
    ),
    loss_bug(
        "none leaves ignored rows unwritten",
        "stale memory in the output of ignored rows",
        "torch-nll-none-uninitialised-ignored (pytorch/pytorch#20406)",
        Loss(mask=_stale(lambda case: case.reduction == "none")),
        targets=INDEX,
    ),
    loss_bug(
        "row buffer not zeroed",
        "stale memory of ignored rows enters sum and mean",
        "liger-compile-ignored-rows (linkedin/Liger-Kernel#1338)",
        Loss(mask=_stale(lambda case: case.reduction != "none")),
        targets=INDEX,
    ),
    loss_bug(
        "mean of shard means",
        "halves with different weights get the same say",
        "torch-dtensor-nll-weighted-mean (pytorch/pytorch#185167), mixed-framework-gradient-accumulation-mean",
        Loss(mean=_shards),
        targets=INDEX,
    ),
    loss_bug(
        "ignored class not in the denominator",
        "the column of ignore_index is dropped from the row sum",
        "torch-ignore-index-class-in-denominator (pytorch/pytorch#63004)",
        Loss(mask=_without_ignored_class),
        targets=INDEX,
    ),
    loss_bug(
        "sentinel -1 means off for the count",
        "rows labelled -1 are left out of the sum and counted in the mean",
        "tinygrad-ignore-index-minus-one-sentinel",
        Loss(denominator=_n_minus_ignored),
        targets=INDEX,
    ),
    loss_bug(
        "weighted mean over N",
        "the mean is divided by the number of rows",
        "iree-sce-weighted-mean-divides-by-n (iree-org/iree#24228)",
        Loss(denominator=_all_rows),
        takes=frozenset({"axis", "weight", "reduction"}),
        targets=INDEX,
    ),
    loss_bug(
        "ignored rows in the count",
        "the mean is divided by all rows",
        "torch-mlir-sce-ignore-index-mean (llvm/torch-mlir#3585), burn-pad-tokens-in-denominator",
        replace(NLL, denominator=_all_rows),
        op="nll_loss",
    ),
    loss_bug(
        "ignored rows in the count for negative sentinels",
        "the count is right only for an ignore_index in range",
        "paddle-mean-counts-ignored (PaddlePaddle/Paddle#23708)",
        Loss(denominator=_unless_sentinel_positive),
        targets=INDEX,
    ),
    loss_bug(
        "gradient of ignored rows",
        "the backward pass leaves softmax in ignored rows",
        "paddle-ignored-rows-get-gradient (PaddlePaddle/Paddle#28622)",
        Loss(slope=_only_ignored_unwritten, mask_slope=lambda case, z: z),
        targets=INDEX,
    ),
)
