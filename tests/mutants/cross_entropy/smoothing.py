"""Mutants of the label smoothing of cross_entropy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tests.mutants.kit.clause_kit import of_loss
from tests.mutants.kit.entries import DENSE, INDEX, SIBLING, loss_bug
from tests.mutants.kit.kill_table import smoothed_row
from tests.mutants.kit.loss_mistakes import denominator, over_k_minus_1, raises, unnormalised
from tests.mutants.kit.loss_steps import CORRECT, Case, Loss, mixed, row_losses, weighted_targets
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.softmax_steps import BF16, F16, PLAIN, Array, Step, same, through, times
from tests.mutants.kit.sources import COUNT, WEIGHT


def _added(case: Case) -> Array:
    return (case.q + case.eps / case.k).astype(case.x.dtype)


def _by_sum(case: Case) -> Array:
    return ((1 - case.eps) * case.q + case.eps).astype(case.x.dtype)


def _rounded_eps(case: Case) -> Case:
    return replace(case, eps=float(BF16.type(case.eps)))


def _kl(case: Case, y: Array, c: Array) -> Array:
    entropy = np.where(c == 0, 0, c * np.log(np.where(c == 0, 1, c)))
    return (row_losses(case, y, c) + entropy.sum(axis=-1)).astype(y.dtype)


def _ignored_unmasked(case: Case, rows: Array) -> Array:
    return rows


def _onehot_masked(case: Case) -> Case:
    return replace(case, q=(case.q * case.kept[..., None]).astype(case.x.dtype))


def _two_means(case: Case, rows: Array) -> Array:
    if case.labels is None or case.eps == 0:
        return np.sum(rows) / np.sum(case.scale, dtype=case.x.dtype)
    y, hard = PLAIN.y(case.x), weighted_targets(case, case.q)
    one = np.where(case.kept, -np.sum(np.where(hard == 0, 0, hard * y), axis=-1), 0)
    smooth = np.where(case.kept, -np.sum(case.w * y, axis=-1), 0)
    every = np.sum(case.w[case.labels % case.k])
    return (1 - case.eps) * np.sum(one) / np.sum(case.scale) + case.eps / case.k * np.sum(smooth) / every


def _uniform_sum(rounded: Step) -> Callable[[Case, Array, Array], Array]:
    """``eps / K`` times the sum of log-probabilities, which is held in a format."""

    def rows(case: Case, y: Array, c: Array) -> Array:
        one = (1 - case.eps) * case.q * case.w
        total = np.sum(np.where(one == 0, 0, one * y), axis=-1, dtype=y.dtype)
        if case.eps:
            total = total + case.eps / case.k * rounded(
                np.sum(np.where(case.w == 0, 0, case.w * y), axis=-1, dtype=y.dtype)
            )
        return np.where(np.isnan(y).any(axis=-1), np.nan, -total).astype(y.dtype)

    return rows


def _inverted(case: Case, rows: Array) -> Array:
    keep = ~case.kept if case.eps > 0 and case.ignore_index is not None else case.kept
    return np.where(keep, rows, 0).astype(rows.dtype)


def _affine(on: Callable[[float, int], float], off: Callable[[float, int], float]) -> Loss:
    return Loss(
        mix=lambda case: (on(case.eps, case.k) * case.q + (off(case.eps, case.k) if case.eps else 0)).astype(
            case.x.dtype
        )
    )


def _label_weight_for_all(case: Case, y: Array, c: Array) -> Array:
    if case.labels is None or case.k > 2 or case.reduction != "none" or case.eps == 0:
        return row_losses(case, y, c)
    return row_losses(case, y, case.w[case.safe][..., None] * mixed(case))


def _unsmoothed_dense(case: Case) -> Array:
    return mixed(case) if case.labels is not None else case.q


SMOOTH = SIBLING + "ls-formula-variants-in-the-wild"


def _mix(f: Callable[[Case], Array]) -> Loss:
    return Loss(mix=lambda case: f(case).astype(case.x.dtype) if case.eps else case.q)


def _without_ignored_class(case: Case) -> Array:
    q = mixed(case)
    if case.labels is not None and case.ignore_index is not None and 0 <= case.ignore_index < case.k:
        q[..., case.ignore_index] = 0
    return q


def _smoothed_weights(case: Case, q: Array) -> Array:
    w = (1 - case.eps) * case.w + case.eps / case.k if case.weighted and case.eps else case.w
    return w.astype(case.x.dtype) * q


MUTANTS: tuple[Mutant, ...] = (
    smoothed_row("eps/(K-1)", "the smoothing mass goes to the other K - 1 classes", Loss(mix=over_k_minus_1)),
    smoothed_row(
        "unnormalised q (1-eps, eps/K)", "the target gets no share of the uniform part", Loss(mix=unnormalised)
    ),
    smoothed_row("no smoothing", "the option is dropped", Loss(mix=lambda case: case.q)),
    smoothed_row("smoothing added not mixed", "the one-hot part is not scaled by 1 - eps", Loss(mix=_added)),
    smoothed_row("KL instead of CE (entropy subtracted)", "the divergence is another function", Loss(rows=_kl)),
    smoothed_row("eps=0.1 -> bf16(0.1)", "eps rounded to bfloat16", Loss(read=_rounded_eps)),
    smoothed_row("result*(1+0.0001)", "a systematic error", Loss(leave=times(1 + 1e-4))),
    smoothed_row("result*(1+1e-05)", "a systematic error", Loss(leave=times(1 + 1e-5))),
    smoothed_row("uniform part by sum not mean", "eps instead of eps/K for each class", Loss(mix=_by_sum)),
    loss_bug(
        "uniform part counts ignored rows",
        "the one-hot part is masked, the uniform part is not",
        "torch-ls-counts-ignored-rows (pytorch/pytorch#73205), tinygrad-ls-ignore-index (tinygrad/tinygrad#3570)",
        Loss(read=_onehot_masked, mask=_ignored_unmasked),
        targets=INDEX,
    ),
    loss_bug(
        "uniform part divided by all rows",
        "the mean of the uniform part counts ignored rows",
        "torch-ls-inrange-ignore-mean-denominator (pytorch/pytorch#69511)",
        Loss(mean=_two_means),
        targets=INDEX,
    ),
    loss_bug(
        "sum of log-probabilities in float16",
        "K log K is rounded to float16, or infinite, before it is multiplied by eps / K",
        "torch-ls-fp16-large-vocab-inf, hf-labelsmoother-fp16-inf (huggingface/transformers#10674)",
        Loss(rows=_uniform_sum(through(F16))),
        targets=INDEX,
        expect=("float16",),
        family="wide",
    ),
    loss_bug(
        "sum of log-probabilities overflows",
        "K times a log-probability is infinite where the loss is not",
        "torch-ls-fp16-large-vocab-inf, in wide formats (clause 7)",
        Loss(rows=_uniform_sum(same)),
        targets=INDEX,
        expect=("float32", "bfloat16"),
        family="near_overflow",
    ),
    loss_bug(
        "smoothing dropped",
        "the option is accepted and not passed on",
        "liger-flce-label-smoothing-dropped (linkedin/Liger-Kernel#243)",
        Loss(mix=lambda case: case.q),
    ),
    loss_bug(
        "smoothing mask inverted",
        "ignored rows are kept and the others zeroed",
        "sockeye-ls-metric-inverted-ignore (awslabs/sockeye#200)",
        Loss(mask=_inverted),
        targets=INDEX,
    ),
    loss_bug(
        "smoothing over the other classes",
        "(1 - e K/(K-1)) nll + e/(K-1) sum: the mass of e goes to K - 1 classes",
        "fastai-ls-formula-c-over-c-minus-1 (fastai/fastai#1814)",
        Loss(mix=over_k_minus_1),
        targets=INDEX,
    ),
    loss_bug(
        "smoothing (1 - e/K) q + e/K",
        "the mass is more than 1",
        "ls-formula-variants-in-the-wild (ildoonet/pytorch-randaugment#30)",
        _affine(lambda e, k: 1 - e / k, lambda e, k: e / k),
    ),
    loss_bug(
        "smoothing (1 - e) q + 1/K",
        "the uniform part is not scaled by e",
        "ls-formula-variants-in-the-wild (TimDettmers/ConvE#55)",
        _affine(lambda e, k: 1 - e, lambda e, k: 1 / k),
    ),
    loss_bug(
        "smoothing (1 - e) q + (1 - e)/K",
        "the uniform part is scaled by the wrong factor",
        "ls-formula-variants-in-the-wild (AlexeyAB/darknet#5207)",
        _affine(lambda e, k: 1 - e, lambda e, k: (1 - e) / k),
    ),
    of_loss(
        "2-cross_entropy-smoothed",
        "label's weight for the uniform part of two classes",
        "w_y eps/K sum(-log p) without reduction",
        Loss(rows=_label_weight_for_all),
    ),
    of_loss(
        "2-smoothed-targets",
        "no smoothing of probability targets in the value",
        "the branch for soft labels does not read the option",
        Loss(mix=_unsmoothed_dense),
        grad=CORRECT.grad,
    ),
    loss_bug(
        "smoothed mean over smoothed weights",
        "sum w q' instead of sum w_y",
        COUNT,
        denominator(lambda case: (case.kept[..., None] * case.w * mixed(case)).sum()),
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
        "specification section 2",
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
        "smoothing cannot be compiled",
        "the meta path raises for label_smoothing > 0",
        "torch-compile-label-smoothing-fails",
        Loss(read=raises(lambda case: case.eps > 0)),
    ),
)
