"""Upstream bugs of ignore_index, weights, labels and axis in the losses. Each names its entry of bugs.json."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .loss import NLL, Case, Loss, relabelled, slope
from .losses import counted
from .parts import F16, PLAIN, Array, Function, Softmax, through
from .registry import ALL_DTYPES, Mutant, options

INDEX = ("index",)


def bug(
    name: str,
    why: str,
    source: str,
    of: Loss,
    *,
    op: str = "cross_entropy",
    takes: frozenset[str] | None = None,
    targets: tuple[str, ...] = ("index", "probability"),
    expect: tuple[str, ...] = ALL_DTYPES,
    value: Function | None = None,
    grad: Function | None = None,
    family: str = "",
) -> Mutant:
    """One entry; it runs in the dtypes in which it must be killed."""
    return Mutant(
        name,
        op,
        f"upstream {op}",
        why,
        value or of.value,
        grad or of.grad,
        dtypes=expect,
        expect=expect,
        options=options(op) if takes is None else takes,
        targets=INDEX if op == "nll_loss" else targets,
        family=family,
        source=source,
    )


def _stale(when: Callable[[Case], bool]) -> Callable[[Case, Array], Array]:
    return lambda case, rows: np.where(case.kept, rows, 1.5 if when(case) else 0).astype(rows.dtype)


def _raw_gather(case: Case) -> Case:
    if case.weighted and case.eps > 0 and case.labels is not None and case.reduction == "mean":
        case.w[case.labels]
    return case


def _strict_labels(when: Callable[[Case], bool]) -> Callable[[Case], Case]:
    def read(case: Case) -> Case:
        if case.labels is not None and when(case) and ((case.labels < 0) | (case.labels >= case.k)).any():
            raise ValueError("label out of range")
        return case

    return read


def _unignored(when: Callable[[int], bool]) -> Callable[[Case], Case]:
    """ignore_index is not honoured; the sentinel wraps around."""

    def read(case: Case) -> Case:
        if case.labels is None or case.ignore_index is None or not when(case.ignore_index):
            return case
        return replace(relabelled(case, case.labels % case.k), kept=np.ones_like(case.kept))

    return read


def _shards(case: Case, rows: Array) -> Array:
    halves = zip(np.array_split(rows.reshape(-1), 2), np.array_split(case.scale.reshape(-1), 2), strict=True)
    return np.mean([np.sum(r) / np.sum(w) for r, w in halves if r.size])


def _cast_labels(case: Case) -> Case:
    return case if case.labels is None else relabelled(case, case.labels.astype(case.io).astype(np.int64))


def _neighbours(case: Case, rows: Array) -> Array:
    if case.labels is None or case.ignore_index is None:
        return rows
    flat = np.arange(case.labels.size) * case.k + case.labels.reshape(-1)
    read = -PLAIN.y(case.x).reshape(-1)[flat % case.x.size].reshape(rows.shape)
    return np.where(case.kept, rows, read)


def _last_axis_only(x: Array, *, axis: int = -1, **keywords: object) -> Array:
    return Loss().value(x, axis=-1, **keywords)  # type: ignore[arg-type]


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


def _no_3d(case: Case) -> Case:
    if case.labels is not None and case.x.ndim > 2:
        raise ValueError("operands could not be broadcast together")
    return case


def _empty_raises(case: Case) -> Case:
    if case.x.size == 0:
        raise ValueError("empty batch")
    return case


def _zero_if_not_positive(case: Case, z: Array) -> Array:
    dead = case.reduction == "mean" and case.labels is not None and not case.scale.sum() > 0
    return np.where(case.kept[..., None] & (not dead), z, 0).astype(z.dtype)


def _only_ignored_unwritten(case: Case, p: Array, c: Array) -> Array:
    return np.where(case.kept[..., None], slope(case, p, c), p)


MUTANTS = (
    bug(
        "index error with weight and smoothing",
        "weights are gathered at the raw sentinel",
        "torch-ls-weight-ignore-indexerror (pytorch/pytorch#69339)",
        Loss(read=_raw_gather),
    ),
    bug(
        "no gradient for a sum of weights that is not positive",
        "the guard of the division is total_weight > 0",
        "torch-nll-negative-weight-zero-grad (pytorch/pytorch#64256)",
        replace(NLL, mask_slope=_zero_if_not_positive),
        op="nll_loss",
    ),
    bug(
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
    bug(
        "gather first, mask by multiplication",
        "0 times the NaN or infinity of an ignored row",
        "torch-refs-nll-ignore-index-gather (pytorch/pytorch#192685)",
        replace(
            NLL,
            read=lambda case: relabelled(case, case.safe),
            mask=lambda case, rows: rows * case.kept,
        ),
        op="nll_loss",
        family="masked, nan_row",
    ),
    bug(
        "negative sentinel wraps",
        "the mask is optimised away for ignore_index < 0 and the label wraps around",
        "torch-inductor-nll-decomp-ignore (pytorch/pytorch#95794)",
        Loss(read=_unignored(lambda i: i < 0)),
        targets=INDEX,
    ),
    bug(
        "default sentinel not ignored",
        "ignore_index is applied only when it is not -100",
        "flaggems-default-ignore-not-ignored (flagos-ai/FlagGems#73)",
        Loss(read=_unignored(lambda i: i == -100)),
        targets=INDEX,
    ),
    bug(
        "none leaves ignored rows unwritten",
        "stale memory in the output of ignored rows",
        "torch-nll-none-uninitialised-ignored (pytorch/pytorch#20406)",
        Loss(mask=_stale(lambda case: case.reduction == "none")),
        targets=INDEX,
    ),
    bug(
        "row buffer not zeroed",
        "stale memory of ignored rows enters sum and mean",
        "liger-compile-ignored-rows (linkedin/Liger-Kernel#1338)",
        Loss(mask=_stale(lambda case: case.reduction != "none")),
        targets=INDEX,
    ),
    bug(
        "mean of shard means",
        "halves with different weights get the same say",
        "torch-dtensor-nll-weighted-mean (pytorch/pytorch#185167), mixed-framework-gradient-accumulation-mean",
        Loss(mean=_shards),
        targets=INDEX,
    ),
    bug(
        "labels cast to the logits' dtype",
        "labels above 256 are rounded in bfloat16",
        "tf-keras-sparse-labels-cast-to-half (tensorflow/tensorflow#50964)",
        Loss(read=_cast_labels),
        targets=INDEX,
        expect=("bfloat16",),
        family="wide",
    ),
    bug(
        "ignored label used as an address",
        "the loss of an ignored row is read from another row",
        "paddle-negative-label-address (PaddlePaddle/Paddle#36891)",
        Loss(mask=_neighbours),
        targets=INDEX,
    ),
    bug(
        "class axis always last",
        "axis is accepted and not used",
        "keras3-sparse-axis-squeeze (keras-team/keras#21097)",
        Loss(),
        value=_last_axis_only,
    ),
    bug(
        "ignored class not in the denominator",
        "the column of ignore_index is dropped from the row sum",
        "torch-ignore-index-class-in-denominator (pytorch/pytorch#63004)",
        Loss(mask=_without_ignored_class),
        targets=INDEX,
    ),
    bug(
        "sentinel -1 means off for the count",
        "rows labelled -1 are left out of the sum and counted in the mean",
        "tinygrad-ignore-index-minus-one-sentinel",
        Loss(denominator=_n_minus_ignored),
        targets=INDEX,
    ),
    bug(
        "weighted mean over N",
        "the mean is divided by the number of rows",
        "iree-sce-weighted-mean-divides-by-n (iree-org/iree#24228)",
        Loss(denominator=_all_rows),
        takes=frozenset({"axis", "weight", "reduction"}),
        targets=INDEX,
    ),
    bug(
        "ignored rows in the count",
        "the mean is divided by all rows",
        "torch-mlir-sce-ignore-index-mean (llvm/torch-mlir#3585), burn-pad-tokens-in-denominator, chainerx-sce-normalize-ignored",
        replace(NLL, denominator=_all_rows),
        op="nll_loss",
    ),
    bug(
        "ignored rows in the count for negative sentinels",
        "the count is right only for an ignore_index in range",
        "paddle-mean-counts-ignored (PaddlePaddle/Paddle#23708)",
        Loss(denominator=_unless_sentinel_positive),
        targets=INDEX,
    ),
    bug(
        "gradient of ignored rows",
        "the backward pass leaves softmax in ignored rows",
        "paddle-ignored-rows-get-gradient (PaddlePaddle/Paddle#28622)",
        Loss(slope=_only_ignored_unwritten, mask_slope=lambda case, z: z),
        targets=INDEX,
    ),
    bug(
        "bounds checked before ignoring",
        "a sentinel outside the classes is an error",
        "paddle-ignore-index-cpu-not-applied (PaddlePaddle/Paddle#17961)",
        Loss(read=_strict_labels(lambda case: True)),
        targets=INDEX,
    ),
    bug(
        "one-hot before masking",
        "with smoothing, a sentinel outside the classes is an error",
        "paddle-label-smoothing-with-ignore-raises",
        Loss(read=_strict_labels(lambda case: case.eps > 0)),
        targets=INDEX,
    ),
    bug(
        "weight times logits",
        "weights are applied before the softmax",
        "paddle-weighted-ce-wrong (PaddlePaddle/Paddle#24352)",
        Loss(read=lambda case: replace(case, x=case.x * case.w, w=np.ones_like(case.w))),
        targets=INDEX,
    ),
    bug(
        "index targets for two axes only",
        "the one-hot axis is appended at the end: (N, C, d) does not broadcast",
        "tinygrad-cross-entropy-kd-indices (tinygrad/tinygrad#10985)",
        Loss(read=_no_3d),
    ),
    bug(
        "error on an empty batch",
        "N = 0 raises instead of giving 0, nothing or NaN",
        "torch-nll-empty-batch-raises (pytorch/pytorch#15870)",
        Loss(read=_empty_raises),
    ),
    bug(
        "row maximum clipped at -64",
        "rows of logits below -168 have sum 0 and loss infinity",
        "paddle-gpu-xent-clip-max-inf (PaddlePaddle/Paddle#21165)",
        Loss(logp=Softmax(shift=lambda x: np.maximum(np.max(x, axis=-1, keepdims=True), -64)).y),
        family="all_negative",
    ),
)
