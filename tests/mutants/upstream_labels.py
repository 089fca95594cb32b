"""Upstream bugs of labels, sentinels, shapes and axis in the losses. Each names its entry of bugs.json."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .bugs import INDEX, loss_bug
from .loss import Case, Loss, relabelled
from .parts import PLAIN, Array, Softmax


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


def _no_3d(case: Case) -> Case:
    if case.labels is not None and case.x.ndim > 2:
        raise ValueError("operands could not be broadcast together")
    return case


def _empty_raises(case: Case) -> Case:
    if case.x.size == 0:
        raise ValueError("empty batch")
    return case


MUTANTS = (
    loss_bug(
        "index error with weight and smoothing",
        "weights are gathered at the raw sentinel",
        "torch-ls-weight-ignore-indexerror (pytorch/pytorch#69339)",
        Loss(read=_raw_gather),
    ),
    loss_bug(
        "negative sentinel wraps",
        "the mask is optimised away for ignore_index < 0 and the label wraps around",
        "torch-inductor-nll-decomp-ignore (pytorch/pytorch#95794)",
        Loss(read=_unignored(lambda i: i < 0)),
        targets=INDEX,
    ),
    loss_bug(
        "default sentinel not ignored",
        "ignore_index is applied only when it is not -100",
        "flaggems-default-ignore-not-ignored (flagos-ai/FlagGems#73)",
        Loss(read=_unignored(lambda i: i == -100)),
        targets=INDEX,
    ),
    loss_bug(
        "labels cast to the logits' dtype",
        "labels above 256 are rounded in bfloat16",
        "tf-keras-sparse-labels-cast-to-half (tensorflow/tensorflow#50964)",
        Loss(read=_cast_labels),
        targets=INDEX,
        expect=("bfloat16",),
        family="wide",
    ),
    loss_bug(
        "ignored label used as an address",
        "the loss of an ignored row is read from another row",
        "paddle-negative-label-address (PaddlePaddle/Paddle#36891)",
        Loss(mask=_neighbours),
        targets=INDEX,
    ),
    loss_bug(
        "class axis always last",
        "axis is accepted and not used",
        "keras3-sparse-axis-squeeze (keras-team/keras#21097)",
        Loss(),
        value=_last_axis_only,
    ),
    loss_bug(
        "bounds checked before ignoring",
        "a sentinel outside the classes is an error",
        "paddle-ignore-index-cpu-not-applied (PaddlePaddle/Paddle#17961)",
        Loss(read=_strict_labels(lambda case: True)),
        targets=INDEX,
    ),
    loss_bug(
        "one-hot before masking",
        "with smoothing, a sentinel outside the classes is an error",
        "paddle-label-smoothing-with-ignore-raises",
        Loss(read=_strict_labels(lambda case: case.eps > 0)),
        targets=INDEX,
    ),
    loss_bug(
        "weight times logits",
        "weights are applied before the softmax",
        "paddle-weighted-ce-wrong (PaddlePaddle/Paddle#24352)",
        Loss(read=lambda case: replace(case, x=case.x * case.w, w=np.ones_like(case.w))),
        targets=INDEX,
    ),
    loss_bug(
        "index targets for two axes only",
        "the one-hot axis is appended at the end: (N, C, d) does not broadcast",
        "tinygrad-cross-entropy-kd-indices (tinygrad/tinygrad#10985)",
        Loss(read=_no_3d),
    ),
    loss_bug(
        "error on an empty batch",
        "N = 0 raises instead of giving 0, nothing or NaN",
        "torch-nll-empty-batch-raises (pytorch/pytorch#15870)",
        Loss(read=_empty_raises),
    ),
    loss_bug(
        "row maximum clipped at -64",
        "rows of logits below -168 have sum 0 and loss infinity",
        "paddle-gpu-xent-clip-max-inf (PaddlePaddle/Paddle#21165)",
        Loss(logp=Softmax(shift=lambda x: np.maximum(np.max(x, axis=-1, keepdims=True), -64)).y),
        family="all_negative",
    ),
)
