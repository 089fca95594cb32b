"""Class weights of cross-entropy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .bugs import INDEX, SIBLING, loss_bug
from .loss import Case, Loss, mixed
from .losses import weights_at
from .parts import PLAIN, Array, row_sum
from .wrong_losses import COUNT, DENSE, denominator

WEIGHT = SIBLING + "paddle-weighted-ce-wrong"


def _weights_of_rows(case: Case, q: Array) -> Array:
    rows = np.arange(q[..., 0].size).reshape(q.shape[:-1])
    return case.w[rows % case.k][..., None] * q


def _label_weight_for_all(case: Case, q: Array) -> Array:
    return row_sum(case.w * case.q) * q


def _unweighted_uniform(case: Case, q: Array) -> Array:
    return case.w * (1 - case.eps) * case.q + (q - (1 - case.eps) * case.q) if case.eps else case.w * q


def raises(when: Callable[[Case], bool]) -> Callable[[Case], Case]:
    def read(case: Case) -> Case:
        if when(case):
            raise RuntimeError("cannot trace this")
        return case

    return read


_ROW_COUNT = denominator(lambda case: case.kept.size)


MUTANTS = (
    loss_bug(
        "denominator of absolute weights",
        "|sum w|: negative totals change the sign",
        SIBLING + "torch-nll-negative-weight-zero-grad",
        Loss(denominator=lambda case: np.abs(np.sum(case.scale, dtype=case.x.dtype))),
        targets=INDEX,
    ),
    loss_bug(
        "value 0 for a sum of weights that is not positive",
        "the guard of the division is sum > 0, in the value",
        SIBLING + "torch-nll-negative-weight-zero-grad",
        Loss(
            mean=lambda case, rows: (
                np.sum(rows) / np.sum(case.scale, dtype=rows.dtype)
                if np.sum(case.scale) > 0 or not case.kept.any()
                else np.zeros((), rows.dtype)
            )
        ),
        targets=INDEX,
    ),
    loss_bug(
        "normalize not honoured",
        "mean over the batch size with ignored labels present",
        "chainerx-sce-normalize-ignored",
        _ROW_COUNT,
        takes=frozenset({"axis", "ignore_index", "reduction"}),
        targets=INDEX,
    ),
    loss_bug(
        "weights dropped by sum",
        "only mean and none know the weights",
        WEIGHT,
        Loss(weigh=lambda case, q: q if case.reduction == "sum" and case.labels is not None else case.w * q),
        targets=INDEX,
        expect=("float32",),
    ),
    loss_bug(
        "kept rows counted, weighted",
        "sum / #kept: another named reduction",
        "burn-pad-tokens-in-denominator",
        denominator(lambda case: case.kept.sum()),
        takes=frozenset({"axis", "weight", "reduction"}),
        targets=INDEX,
    ),
    loss_bug(
        "dense mean over weights",
        "sum w q instead of N",
        COUNT,
        denominator(lambda case: (case.w * case.q).sum()),
        targets=DENSE,
    ),
    loss_bug(
        "smoothed mean over smoothed weights",
        "sum w q' instead of sum w_y",
        COUNT,
        denominator(lambda case: (case.kept[..., None] * case.w * mixed(case)).sum()),
        targets=INDEX,
    ),
    loss_bug(
        "weights by row",
        "weight[n mod K] instead of weight[label]",
        WEIGHT,
        Loss(weigh=_weights_of_rows),
        targets=INDEX,
    ),
    loss_bug(
        "weights twice in the numerator",
        "the weighted loss is weighted again by the mean",
        WEIGHT,
        Loss(weigh=lambda case, q: case.w * case.w * q),
    ),
    loss_bug("weights in the numerator missing", "weights only divide", WEIGHT, Loss(weigh=lambda case, q: q)),
    loss_bug(
        "weights normalised to mean 1",
        "w K / sum w, in sum and none as well",
        WEIGHT,
        Loss(read=lambda case: replace(case, w=(case.w * (case.k / case.w.sum())).astype(case.x.dtype))),
    ),
    loss_bug(
        "absolute weights",
        "the sign of a weight is lost",
        WEIGHT,
        Loss(read=lambda case: replace(case, w=np.abs(case.w))),
    ),
    loss_bug(
        "negative weights clamped", "max(w, 0)", WEIGHT, Loss(read=lambda case: replace(case, w=np.maximum(case.w, 0)))
    ),
    loss_bug(
        "weights reversed",
        "weight[K - 1 - label]",
        WEIGHT,
        Loss(read=lambda case: replace(case, w=case.w[::-1].copy())),
    ),
    loss_bug(
        "weights of the next class",
        "weights are off by one",
        WEIGHT,
        Loss(read=lambda case: replace(case, w=np.roll(case.w, 1))),
    ),
    loss_bug(
        "label's weight for the uniform part",
        "w_y eps/K sum(-log p) instead of eps/K sum(-w log p)",
        SIBLING + "torch-ls-weight-ignore-indexerror",
        Loss(weigh=_label_weight_for_all),
        targets=INDEX,
    ),
    loss_bug(
        "uniform part without weights",
        "eps/K sum(-log p)",
        SIBLING + "torch-ls-weight-ignore-indexerror",
        Loss(weigh=_unweighted_uniform),
    ),
    loss_bug(
        "weighted probability targets cannot be compiled",
        "the check of weight.numel() raises",
        "torch-compile-dynamic-prob-weight-fails",
        Loss(read=raises(lambda case: case.labels is None and case.weighted)),
        targets=DENSE,
    ),
    loss_bug(
        "x - lse",
        "two equal logits of 1e8 have loss 0",
        "torch-big-equal-logits-loss-zero",
        Loss(logp=lambda x: x - (np.max(x, -1, keepdims=True) + np.log(PLAIN.steps(x)[2]))),
        family="offset",
    ),
    loss_bug(
        "label weights of the sentinel counted",
        "the weight of a clamped sentinel is in the denominator",
        SIBLING + "burn-pad-tokens-in-denominator",
        Loss(
            denominator=lambda case: (
                np.sum(case.scale, dtype=case.x.dtype)
                if case.labels is None
                else np.sum(weights_at(case, case.labels), dtype=case.x.dtype)
            )
        ),
        targets=INDEX,
    ),
)
