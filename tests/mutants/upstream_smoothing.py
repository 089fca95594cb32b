"""Upstream bugs of smoothing, probability targets and gradients. Each names its entry of bugs.json."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .bugs import INDEX, loss_bug
from .log_softmax import clip, log_of
from .loss import Case, Loss, mixed, slope, weighted_targets
from .losses import over_k_minus_1
from .parts import F16, PLAIN, Array, Step, over_rows, row_sum, same, through, vjp_softmax


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


def _times_onehot(case: Case, y: Array, c: Array) -> Array:
    return -np.sum(c * y, axis=-1, dtype=y.dtype)


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


def _stores_p(x: Array, *, axis: int = -1, **keywords: object) -> Array:
    value = Loss().value(x, axis=axis, **keywords)  # type: ignore[arg-type]
    x[...] = over_rows(PLAIN.p)(x, axis=axis)
    return value


def _inverted(case: Case, rows: Array) -> Array:
    keep = ~case.kept if case.eps > 0 and case.ignore_index is not None else case.kept
    return np.where(keep, rows, 0).astype(rows.dtype)


def _through_p(case: Case, p: Array, c: Array) -> Array:
    return vjp_softmax(p, -c / p) if case.labels is None else slope(case, p, c)


def _affine(on: Callable[[float, int], float], off: Callable[[float, int], float]) -> Loss:
    return Loss(
        mix=lambda case: (on(case.eps, case.k) * case.q + (off(case.eps, case.k) if case.eps else 0)).astype(
            case.x.dtype
        )
    )


def _renormalised(case: Case) -> Case:
    return case if case.labels is not None else replace(case, q=case.q / row_sum(case.q))


MUTANTS = (
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
        "one-hot times log-probabilities",
        "0 * -inf is NaN for a masked class that is not the target",
        "tf-xla-sparse-xent-neginf-nan (tensorflow/tensorflow#40606), tinygrad-sce-neginf-nan-and-oob-zero",
        Loss(rows=_times_onehot),
        targets=INDEX,
        family="masked",
    ),
    loss_bug(
        "probabilities clipped to [1e-7, 1-1e-7]",
        "the loss saturates at 16.1",
        "keras-cce-probs-clipped-1e-7 (keras-team/keras#17634)",
        Loss(logp=log_of(clip)),
        expect=("float64", "float32", "bfloat16"),
        family="spread",
    ),
    loss_bug(
        "arguments swapped",
        "-sum p log q instead of -sum q log p",
        "keras-theano-sparse-swapped-args (keras-team/keras#7512)",
        Loss(rows=lambda case, y, c: -np.sum(np.exp(y) * np.log(mixed(case)), axis=-1, dtype=y.dtype)),
        targets=("probability",),
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
    loss_bug(
        "targets renormalised",
        "q / sum q: rows that do not sum to 1 lose their mass",
        "SPEC section 2: q is not renormalised",
        Loss(read=_renormalised),
        targets=("probability",),
    ),
    loss_bug(
        "p - w q' with weights",
        "weights are folded into the framework's labels, whose gradient assumes that they sum to 1",
        "tf-xent-unnormalised-labels-gradient (tensorflow/tensorflow#60314)",
        Loss(slope=lambda case, p, c: p - c),
        targets=("probability",),
    ),
    loss_bug(
        "gradient through 1/p",
        "-q/p times the Jacobian: NaN where p underflows",
        "theano-log-of-softmax-grad-nan (Theano/Theano#3162)",
        Loss(slope=_through_p),
        targets=("probability",),
        family="spread",
    ),
    loss_bug(
        "softmax stored in the logits",
        "the forward pass overwrites the logits, from which the backward pass recomputes",
        "unsloth-inplace-logits (unslothai/unsloth#5002)",
        Loss(),
        value=_stores_p,
    ),
    loss_bug(
        "log of softmax",
        "the log of an underflowed probability is -inf",
        "onnx-reference-log-of-softmax, logsoftmax-lowered-to-log-softmax-converters (apple/coremltools#2763)",
        Loss(logp=log_of(same)),
        family="spread",
    ),
)
