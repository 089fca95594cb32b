"""Denominators, weights, smoothing and masks of the losses: siblings of the upstream bugs, and other slips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .bugs import INDEX, loss_bug
from .loss import NLL, Case, Loss, mixed, row_losses
from .losses import weights_at
from .mutant import ALL_DTYPES
from .parts import F16, F32, PLAIN, Array, Softmax, one_by_one, row_sum, through

SIBLING = "sibling of "
COUNT = SIBLING + "torch-mlir-sce-ignore-index-mean"
WEIGHT = SIBLING + "paddle-weighted-ce-wrong"
SMOOTH = SIBLING + "ls-formula-variants-in-the-wild"
DENSE = ("probability",)
SECTION_2 = "SPEC section 2"


def _denominator(f: Callable[[Case], object]) -> Loss:
    return Loss(denominator=lambda case: np.asarray(f(case), case.x.dtype))


def _mix(f: Callable[[Case], Array]) -> Loss:
    return Loss(mix=lambda case: f(case).astype(case.x.dtype) if case.eps else case.q)


def _mean_of_means(case: Case, rows: Array) -> Array:
    if rows.ndim < 2:
        return np.sum(rows) / np.sum(case.scale, dtype=rows.dtype)
    axes = tuple(range(1, rows.ndim))
    return np.mean(rows.sum(axis=axes) / case.scale.sum(axis=axes))


def _without_ignored_class(case: Case) -> Array:
    q = mixed(case)
    if case.labels is not None and case.ignore_index is not None and 0 <= case.ignore_index < case.k:
        q[..., case.ignore_index] = 0
    return q


def _weights_of_rows(case: Case, q: Array) -> Array:
    rows = np.arange(q[..., 0].size).reshape(q.shape[:-1])
    return case.w[rows % case.k][..., None] * q


def _label_weight_for_all(case: Case, q: Array) -> Array:
    return row_sum(case.w * case.q) * q


def _unweighted_uniform(case: Case, q: Array) -> Array:
    return case.w * (1 - case.eps) * case.q + (q - (1 - case.eps) * case.q) if case.eps else case.w * q


def _smoothed_weights(case: Case, q: Array) -> Array:
    w = (1 - case.eps) * case.w + case.eps / case.k if case.weighted and case.eps else case.w
    return w.astype(case.x.dtype) * q


def _random(a: Array) -> Array:
    flat = a.reshape(-1)
    return one_by_one()(np.random.default_rng().permutation(flat))[0] if a.size else np.zeros((), a.dtype)


def _flattened_wrongly(x: Array, *, axis: int = -1, **options: object) -> Array:
    at = axis % x.ndim
    moved = np.moveaxis(x, at, -1).shape
    return Loss().value(np.ascontiguousarray(x).reshape(moved), axis=-1, **_targets(options, at, moved))  # type: ignore[arg-type]


def _targets(options: dict[str, object], axis: int, shape: tuple[int, ...]) -> dict[str, object]:
    target = options["target"]
    # sanity check: losses have targets
    assert isinstance(target, np.ndarray)
    return options | {"target": np.moveaxis(target, axis, -1) if target.dtype.kind == "f" else target}


def _fortran_labels(case: Case) -> Case:
    if case.labels is None or case.labels.ndim < 2:
        return case
    order = case.labels.ravel(order="F").reshape(case.labels.shape)
    q = (np.arange(case.k) == order[..., None]).astype(case.x.dtype)
    kept = case.kept.ravel(order="F").reshape(case.labels.shape)
    return replace(case, labels=order, q=q, kept=kept)


def _bias(case: Case, y: Array, c: Array) -> Array:
    """The target logit has a bias that the normaliser has not."""
    bias = (np.arange(case.k) == 0).astype(y.dtype)
    return row_losses(case, y + np.where(np.isinf(y), 0, bias), c)


def _raises(when: Callable[[Case], bool]) -> Callable[[Case], Case]:
    def read(case: Case) -> Case:
        if when(case):
            raise RuntimeError("cannot trace this")
        return case

    return read


_ROW_COUNT = _denominator(lambda case: case.kept.size)

MUTANTS = (
    loss_bug(
        "mean is the first row",
        "only row 0 reaches the result",
        COUNT,
        Loss(mean=lambda case, rows: rows.reshape(-1)[:1].sum()),
    ),
    loss_bug(
        "mean over the batch axis only",
        "means of means: samples with few kept rows get the same say",
        "mixed-framework-gradient-accumulation-mean",
        Loss(mean=_mean_of_means),
        targets=INDEX,
    ),
    loss_bug(
        "denominator at least 1",
        "a guard max(sum w, 1) against division by zero",
        COUNT,
        Loss(denominator=lambda case: np.maximum(np.sum(case.scale, dtype=case.x.dtype), case.x.dtype.type(1))),
        targets=INDEX,
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
        "normalize not honoured",
        "mean over the batch size with ignored labels present",
        "chainerx-sce-normalize-ignored",
        _ROW_COUNT,
        takes=frozenset({"axis", "ignore_index", "reduction"}),
        targets=INDEX,
        gap="no unweighted mean with ignore_index",
    ),
    loss_bug(
        "weights dropped by sum",
        "only mean and none know the weights",
        WEIGHT,
        Loss(weigh=lambda case, q: q if case.reduction == "sum" and case.labels is not None else case.w * q),
        targets=INDEX,
    ),
    loss_bug(
        "smoothing dropped by sum",
        "only mean and none know the option",
        SIBLING + "liger-flce-label-smoothing-dropped",
        Loss(mix=lambda case: case.q if case.reduction == "sum" and case.labels is not None else mixed(case)),
        targets=INDEX,
    ),
    loss_bug(
        "smoothing dropped for probability targets without weights",
        "the branch for soft labels reads the option only together with weights",
        SIBLING + "liger-flce-label-smoothing-dropped",
        Loss(mix=lambda case: mixed(case) if case.labels is not None or case.weighted else case.q),
        targets=DENSE,
    ),
    loss_bug(
        "nll: weights dropped by none",
        "the unreduced branch does not know the weights",
        WEIGHT,
        replace(NLL, weigh=lambda case, q: q if case.reduction == "none" else case.w * q),
        op="nll_loss",
    ),
    loss_bug(
        "nll: ignored rows kept by none",
        "the unreduced branch does not know ignore_index: the sentinel is taken for class 0",
        SIBLING + "torch-nll-none-uninitialised-ignored",
        replace(
            NLL, mask=lambda case, rows: np.where(case.kept, rows, -case.x[..., 0] if case.reduction == "none" else 0)
        ),
        op="nll_loss",
    ),
    loss_bug(
        "kept rows counted, weighted",
        "sum / #kept: another named reduction",
        "burn-pad-tokens-in-denominator",
        _denominator(lambda case: case.kept.sum()),
        takes=frozenset({"axis", "weight", "reduction"}),
        targets=INDEX,
    ),
    loss_bug("one row too many in the count", "N + 1", COUNT, _denominator(lambda case: case.kept.size + 1)),
    loss_bug(
        "dense mean over the mass", "sum q instead of N", COUNT, _denominator(lambda case: case.q.sum()), targets=DENSE
    ),
    loss_bug(
        "dense mean over weights",
        "sum w q instead of N",
        COUNT,
        _denominator(lambda case: (case.w * case.q).sum()),
        targets=DENSE,
    ),
    loss_bug(
        "smoothed mean over smoothed weights",
        "sum w q' instead of sum w_y",
        COUNT,
        _denominator(lambda case: (case.kept[..., None] * case.w * mixed(case)).sum()),
        targets=INDEX,
    ),
    loss_bug(
        "dense rows of no mass dropped",
        "rows whose targets are 0 are left out of the count",
        COUNT,
        _denominator(lambda case: (case.q.sum(-1) != 0).sum()),
        targets=DENSE,
    ),
    loss_bug(
        "float16 count",
        "100 000 rows are infinitely many in float16",
        SIBLING + "torch-fp16-mean-overflow-nan",
        Loss(denominator=lambda case: through(F16)(np.sum(case.scale, dtype=case.x.dtype))),
        takes=frozenset({"axis", "reduction"}),
        targets=INDEX,
        expect=("float16",),
        family="long_batch",
    ),
    loss_bug(
        "float16 count saturates",
        "the count of rows is at most 65504",
        SIBLING + "torch-fp16-mean-overflow-nan",
        Loss(denominator=lambda case: np.minimum(np.sum(case.scale, dtype=case.x.dtype), case.x.dtype.type(65504))),
        takes=frozenset({"axis", "reduction"}),
        targets=INDEX,
        expect=("bfloat16", "float16"),
        family="long_batch",
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
        "smoothing of the weights", "eps is applied to the weights as well", WEIGHT, Loss(weigh=_smoothed_weights)
    ),
    loss_bug(
        "smoothing over K + 1",
        "the padding class counts",
        SMOOTH,
        _mix(lambda case: (1 - case.eps) * case.q + case.eps / (case.k + 1)),
    ),
    loss_bug(
        "smoothing by eps / 2",
        "two-sided smoothing",
        SMOOTH,
        _mix(lambda case: (1 - case.eps / 2) * case.q + case.eps / 2 / case.k),
    ),
    loss_bug(
        "smoothing weights exchanged",
        "eps q + (1 - eps)/K",
        SMOOTH,
        _mix(lambda case: case.eps * case.q + (1 - case.eps) / case.k),
    ),
    loss_bug(
        "smoothing without an ignored class",
        "a sentinel that is a class gets no share of the uniform part",
        SMOOTH,
        Loss(mix=_without_ignored_class),
        targets=INDEX,
    ),
    loss_bug(
        "smoothing over finite classes",
        "masked classes get no share of the uniform part",
        SMOOTH,
        Loss(mix=lambda case: np.where(np.isneginf(case.x) & (case.q == 0), 0, mixed(case)).astype(case.x.dtype)),
    ),
    loss_bug(
        "smoothing for index targets only",
        "probability targets are not smoothed",
        "SPEC section 2",
        Loss(mix=lambda case: mixed(case) if case.labels is not None else case.q),
    ),
    loss_bug(
        "-log p of the smoothed target only",
        "the loss is -log p_y times the target's share",
        SMOOTH,
        Loss(mix=lambda case: (mixed(case) * (case.q > 0)).astype(case.x.dtype)),
        targets=INDEX,
    ),
    loss_bug(
        "entropy averaged over ignored rows",
        "the uniform part's mean counts padded tokens",
        SMOOTH,
        Loss(
            mean=lambda case, rows: (
                np.sum(rows) / (np.sum(case.scale, dtype=rows.dtype) + case.x.dtype.type(case.eps) * np.sum(~case.kept))
            )
        ),
        targets=INDEX,
    ),
    loss_bug(
        "sum is the mean",
        "reduction sum is divided by N",
        SECTION_2,
        Loss(
            total=lambda rows: np.mean(rows) if rows.size else np.zeros((), rows.dtype),
            denominator=lambda case: np.sum(case.scale, dtype=case.x.dtype) / case.x.dtype.type(max(case.kept.size, 1)),
        ),
    ),
    loss_bug(
        "biased target logit",
        "a bias is in the target's logit and not in the normaliser",
        "cce-bias-path",
        Loss(rows=_bias),
    ),
    loss_bug(
        "axes flattened in the wrong order",
        "the storage is read as (N, K) whatever the class axis",
        SIBLING + "keras3-sparse-axis-squeeze",
        Loss(),
        value=_flattened_wrongly,
    ),
    loss_bug(
        "labels in column order",
        "labels of several axes are flattened the other way round",
        SIBLING + "tinygrad-cross-entropy-kd-indices",
        Loss(read=_fortran_labels),
        targets=INDEX,
    ),
    loss_bug(
        "smoothing cannot be compiled",
        "the meta path raises for label_smoothing > 0",
        "torch-compile-label-smoothing-fails",
        Loss(read=_raises(lambda case: case.eps > 0)),
    ),
    loss_bug(
        "weighted probability targets cannot be compiled",
        "the check of weight.numel() raises",
        "torch-compile-dynamic-prob-weight-fails",
        Loss(read=_raises(lambda case: case.labels is None and case.weighted)),
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
        "rows summed in random order",
        "atomics: the last bits differ from call to call",
        "torch-ce-segmentation-nondeterministic",
        Loss(total=_random),
        expect=ALL_DTYPES,
        allowed="section 5: determinism is a grade",
    ),
    loss_bug(
        "rows summed one after the other",
        "a single float32 accumulator; 2^24 rows, where it stagnates, are not in the deck",
        "torch-cpu-float32-mean-large-batch",
        Loss(total=lambda rows: one_by_one()(rows.reshape(-1))[0] if rows.size else np.zeros((), rows.dtype)),
        expect=("float64", "float32"),
        allowed="TOLERANCES: sums in any order",
    ),
    loss_bug(
        "everything in float32",
        "float64 inputs are computed in float32",
        "computed in fp32, the loss",
        Loss(logp=Softmax(inner=F32).y),
        expect=("float64",),
    ),
    loss_bug(
        "batch summed in float32",
        "float64 losses are summed in float32",
        "computed in fp32, the reduction",
        Loss(total=lambda rows: through(F32)(np.sum(rows, dtype=F32)).astype(rows.dtype)),
        expect=("float64",),
    ),
    loss_bug(
        "nll: zero for masked targets",
        "-inf times the mask",
        SIBLING + "torch-refs-nll-ignore-index-gather",
        replace(
            NLL, rows=lambda case, y, c: np.nan_to_num(-np.sum(np.where(c == 0, 0, c * y), axis=-1), posinf=0, neginf=0)
        ),
        op="nll_loss",
        family="masked_target",
    ),
    loss_bug(
        "nll: largest finite loss for masked targets",
        "infinite losses saturate",
        "clause 5",
        replace(
            NLL,
            rows=lambda case, y, c: np.nan_to_num(
                -np.sum(np.where(c == 0, 0, c * y), axis=-1), posinf=6e4, neginf=-6e4, nan=np.nan
            ),
        ),
        op="nll_loss",
        family="masked_target",
    ),
    loss_bug(
        "nll: gradient p - q",
        "the gradient of cross-entropy",
        SECTION_2,
        replace(NLL, slope=lambda case, p, c: np.exp(p) * row_sum(c) - c),
        op="nll_loss",
    ),
    loss_bug(
        "nll: weight of class 0",
        "weight[0] for every row",
        WEIGHT,
        replace(NLL, weigh=lambda case, q: case.w[:1] * q),
        op="nll_loss",
    ),
    loss_bug(
        "nll: sign", "the log-probability is not negated", SECTION_2, replace(NLL, leave=np.negative), op="nll_loss"
    ),
    loss_bug(
        "nll: largest log-probability",
        "the predicted class instead of the label",
        SECTION_2,
        replace(NLL, rows=lambda case, y, c: -np.sum(c, -1) * np.max(y, -1)),
        op="nll_loss",
    ),
    loss_bug(
        "nll: NaN anywhere in the row",
        "the whole row is multiplied by the one-hot target",
        SIBLING + "torch-refs-nll-ignore-index-gather",
        replace(NLL, rows=lambda case, y, c: -np.sum(c * y, axis=-1, dtype=y.dtype)),
        op="nll_loss",
        family="masked, nan_row",
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
