"""Mutants of the class weights of cross_entropy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.mutants.kit.clause_kit import of_loss
from tests.mutants.kit.entries import DENSE, INDEX, SIBLING, loss_bug
from tests.mutants.kit.kill_table import weighted_row
from tests.mutants.kit.loss_mistakes import all_rows, balanced, counted, denominator, raises, weights_at
from tests.mutants.kit.loss_steps import Case, Loss, row_losses, sum_of_weights
from tests.mutants.kit.mutant import F64_ONLY, Mutant
from tests.mutants.kit.softmax_steps import F16, PLAIN, Array, Step, one_by_one, row_sum, through
from tests.mutants.kit.sources import WEIGHT


def _predicted(case: Case, rows: Array) -> Array:
    w = np.where(case.kept, weights_at(case, np.argmax(case.x, axis=-1)), 0)
    y = np.take_along_axis(PLAIN.y(case.x), case.safe[..., None], axis=-1)[..., 0]
    return np.sum(np.where(case.kept, -w * y, 0)) / np.sum(w, dtype=case.x.dtype)


def _weights(change: Step) -> Loss:
    return Loss(read=lambda case: replace(case, w=change(case.w).astype(case.x.dtype)))


def _denominator_plus(a: float) -> Loss:
    return Loss(denominator=lambda case: np.sum(case.scale, dtype=case.x.dtype) + case.x.dtype.type(a))


def _scaled_numerator(case: Case, q: Array) -> Array:
    return (case.w * (case.k / case.w.sum()) * q).astype(case.x.dtype)


def _unweighted_mean(case: Case, rows: Array) -> Array:
    if not balanced(case):
        return np.sum(rows, dtype=rows.dtype) / sum_of_weights(case)
    plain = -np.take_along_axis(PLAIN.y(case.x), case.safe[..., None], axis=-1)[..., 0]
    return np.mean(plain[case.kept], dtype=rows.dtype)


def _clamped(case: Case, y: Array, c: Array) -> Array:
    rows = row_losses(case, y, c)
    return np.where(np.isfinite(rows) & (rows < 0), 0, rows).astype(y.dtype)


def _weights_of_rows(case: Case, q: Array) -> Array:
    rows = np.arange(q[..., 0].size).reshape(q.shape[:-1])
    return case.w[rows % case.k][..., None] * q


def _label_weight_for_all(case: Case, q: Array) -> Array:
    return row_sum(case.w * case.q) * q


def _unweighted_uniform(case: Case, q: Array) -> Array:
    return case.w * (1 - case.eps) * case.q + (q - (1 - case.eps) * case.q) if case.eps else case.w * q


def _nothing_for_weightless_nan(case: Case, rows: Array) -> Array:
    weightless = bool((case.scale == 0).all() and case.kept.any() and np.isnan(rows).any())
    return (
        np.zeros((), rows.dtype)
        if weightless
        else np.sum(rows, dtype=rows.dtype) / np.sum(case.scale, dtype=rows.dtype)
    )


MUTANTS: tuple[Mutant, ...] = (
    weighted_row("mean over N", "divides by all rows", Loss(denominator=lambda case: counted(case, case.kept.size))),
    weighted_row(
        "mean over non-ignored count",
        "divides by the number of kept rows, not by their weights",
        Loss(denominator=lambda case: counted(case, int(case.kept.sum()))),
    ),
    weighted_row("weight of predicted class", "weight[argmax x] instead of weight[label]", Loss(mean=_predicted)),
    weighted_row("unweighted", "weights are dropped", _weights(np.ones_like)),
    weighted_row(
        "sum(w)+1e-8", "a guard below float32's roundoff of the sum", _denominator_plus(1e-8), expect=F64_ONLY
    ),
    weighted_row("sum(w)+1e-5", "a guard against division by zero", _denominator_plus(1e-5)),
    weighted_row(
        "w normalised to sum K over classes",
        "weights are normalised in the numerator only",
        Loss(weigh=_scaled_numerator),
    ),
    weighted_row("w^2", "weights are applied twice", _weights(np.square)),
    weighted_row("fp16 weights", "weights are stored in float16", _weights(through(F16))),
    weighted_row(
        "fp16 sum(w)",
        "the denominator is summed in float16",
        Loss(denominator=lambda case: one_by_one(F16)(case.scale.reshape(-1))[0]),
    ),
    loss_bug(
        "weighted mean over N",
        "the mean is divided by the number of rows",
        "iree-sce-weighted-mean-divides-by-n (iree-org/iree#24228)",
        Loss(denominator=all_rows),
        takes=frozenset({"axis", "weight", "reduction"}),
        targets=INDEX,
    ),
    loss_bug(
        "weight times logits",
        "weights are applied before the softmax",
        "paddle-weighted-ce-wrong (PaddlePaddle/Paddle#24352)",
        Loss(read=lambda case: replace(case, x=case.x * case.w, w=np.ones_like(case.w))),
        targets=INDEX,
    ),
    of_loss(
        "4.10-weightless-loss",
        "unweighted mean where all weights are 0",
        "a fall-back that nobody asked for",
        Loss(mean=_unweighted_mean),
        targets=INDEX,
    ),
    of_loss(
        "4.0-weightless-nan",
        "0 for a weightless mean that holds NaN",
        "the division is skipped where the weights add up to 0, whatever the losses are",
        Loss(mean=_nothing_for_weightless_nan),
        targets=INDEX,
    ),
    of_loss(
        "4.15-negative-weights",
        "losses clamped at 0",
        "a cross-entropy is never negative, it is assumed",
        Loss(rows=_clamped),
    ),
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
)
