"""Mutants of the gradient of cross_entropy: weights, smoothing, targets, ignored rows, denominators."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.mutants.kit.clause_kit import masked, of_loss
from tests.mutants.kit.entries import DENSE, INDEX, SIBLING, gradient_bug, loss_bug
from tests.mutants.kit.loss_mistakes import balanced, nothing_kept, unmasked
from tests.mutants.kit.loss_steps import CORRECT, Case, Loss, mixed, slope, zero_ignored
from tests.mutants.kit.mutant import ONE_OF_EACH, Mutant
from tests.mutants.kit.softmax_steps import F16, PLAIN, Array, row_sum
from tests.mutants.kit.sources import IGNORED


def _only_ignored_unwritten(case: Case, p: Array, c: Array) -> Array:
    return np.where(case.kept[..., None], slope(case, p, c), p)


def _renormalised(case: Case) -> Case:
    if case.labels is not None:
        return case
    total = case.q.sum(axis=-1, keepdims=True)
    return replace(case, q=(case.q / np.where(total == 0, 1, total)).astype(case.x.dtype))


def _whole(case: Case) -> Array:
    """Rows of probability targets that sum to 1, with an axis for the classes."""
    return np.asarray(case.labels is None) & (case.q.sum(axis=-1, keepdims=True) == 1)


def _by_format(case: Case, p: Array, c: Array) -> Array:
    other = ~_whole(case) & (case.labels is None and case.io == F16 and case.k > 1)
    return np.where(other, p - c, slope(case, p, c)).astype(p.dtype)


def _folded(case: Case, p: Array, c: Array) -> Array:
    return np.where(_whole(case), p - c, slope(case, p, c)).astype(p.dtype)


def _rounded(case: Case, p: Array, c: Array) -> Array:
    off = np.abs(case.q.sum(axis=-1, keepdims=True, dtype=np.float64) - 1)
    wrong = (off > 0) & (off < 2.0**-6) & bool(case.labels is None and (case.w != 1).any())
    return np.where(wrong, p - c, slope(case, p, c)).astype(p.dtype)


def _infinite_gradient(case: Case, z: Array) -> Array:
    return np.full_like(z, np.inf) if case.reduction == "mean" and nothing_kept(case) else zero_ignored(case, z)


def _unweighted_gradient(case: Case, z: Array) -> Array:
    if case.reduction != "mean" or not balanced(case):
        return zero_ignored(case, z)
    return zero_ignored(case, (PLAIN.p(case.x) - case.q) / case.kept.sum())


def _garbage(case: Case) -> Array:
    return np.asarray(np.isnan(PLAIN.p(case.x)).any(axis=-1))


def _uniform_garbage(case: Case, z: Array) -> Array:
    wrong = ~case.kept & _garbage(case)
    return np.where(wrong[..., None], 1 / case.k, zero_ignored(case, z)).astype(z.dtype)


def _masked_nan(case: Case, z: Array) -> Array:
    wrong = ~case.kept & masked(case.x).any(axis=-1)
    return np.where(wrong[..., None], np.nan, zero_ignored(case, z)).astype(z.dtype)


def _clamped_onehot(case: Case, p: Array, c: Array) -> Array:
    """Ignored rows get the gradient of a clamped label."""
    if case.labels is None:
        return slope(case, p, c)
    q = (np.arange(case.k) == np.clip(case.labels, 0, case.k - 1)[..., None]).astype(p.dtype)
    return np.where(case.kept[..., None], slope(case, p, c), p - q)


def _uniform_of_ignored(case: Case, p: Array, c: Array) -> Array:
    ignored = p - np.asarray(1 / case.k, p.dtype)
    return np.where(case.kept[..., None], slope(case, p, c), case.eps * ignored)


def _row_weights(case: Case, p: Array, c: Array) -> Array:
    """``w_i (p - q')``: the weight of the class, not of the row."""
    return case.w * (p - mixed(case))


MUTANTS: tuple[Mutant, ...] = (
    loss_bug(
        "gradient of ignored rows",
        "the backward pass leaves softmax in ignored rows",
        "paddle-ignored-rows-get-gradient (PaddlePaddle/Paddle#28622)",
        Loss(slope=_only_ignored_unwritten, mask_slope=lambda case, z: z),
        targets=INDEX,
    ),
    loss_bug(
        "p - w q' with weights",
        "weights are folded into the framework's labels, whose gradient assumes that they sum to 1",
        "tf-xent-unnormalised-labels-gradient (tensorflow/tensorflow#60314)",
        Loss(slope=lambda case, p, c: p - c),
        targets=("probability",),
    ),
    of_loss(
        "3-ce-vjp",
        "gradient with the class's weight for labels",
        "w_i (p_i - q'_i)",
        Loss(slope=lambda case, p, c: case.w * (p - mixed(case))),
        targets=INDEX,
    ),
    of_loss(
        "3-unnormalised-gradient",
        "targets renormalised in the gradient",
        "p - q / sum q, which is neither of the accepted formulas",
        value=CORRECT.value,
        grad=Loss(read=_renormalised).grad,
        targets=DENSE,
    ),
    of_loss(
        "3-unnormalised-consistent",
        "formula of unnormalised targets by format",
        "a float16 kernel takes p - w q' where the others take Q p - w q'",
        Loss(slope=_by_format),
        targets=DENSE,
        expect=ONE_OF_EACH,
    ),
    of_loss(
        "3-rounded-sum",
        "p - w q' where targets sum to 1 but for rounding",
        "a test for the sum that is exact takes rounded targets for targets of another sum",
        Loss(slope=_rounded),
        targets=DENSE,
    ),
    of_loss(
        "3-no-folding",
        "weights folded into probability targets",
        "p - w q' where the targets sum to 1",
        Loss(slope=_folded),
        targets=DENSE,
    ),
    of_loss(
        "4.10-ignored-gradient",
        "gradient +inf where every row is ignored",
        "the cotangent over a denominator of 0",
        Loss(mask_slope=_infinite_gradient),
        targets=INDEX,
    ),
    of_loss(
        "4.10-weightless-gradient",
        "unweighted gradient where all weights are 0",
        "a fall-back that nobody asked for",
        Loss(mask_slope=_unweighted_gradient),
        targets=INDEX,
    ),
    of_loss(
        "4.11-gradient",
        "uniform gradient of ignored rows without probabilities",
        "1/K where p is NaN",
        Loss(mask_slope=_uniform_garbage),
        targets=INDEX,
    ),
    of_loss(
        "4.11-masked",
        "gradient NaN of ignored rows with a masked class",
        "0 times -inf",
        Loss(mask_slope=_masked_nan),
        targets=INDEX,
    ),
    gradient_bug(
        "gradient of ignored rows with a clamped label",
        "p - onehot(clamp(y)) where the row is ignored",
        IGNORED,
        Loss(slope=_clamped_onehot, mask_slope=unmasked),
        targets=INDEX,
    ),
    gradient_bug(
        "gradient of the uniform part in ignored rows",
        "the smoothing term is not masked",
        IGNORED,
        Loss(slope=_uniform_of_ignored, mask_slope=unmasked),
        targets=INDEX,
    ),
    gradient_bug(
        "mask by multiplication in the gradient",
        "0 times the NaN of an ignored row",
        IGNORED,
        Loss(mask_slope=lambda case, z: z * case.kept[..., None]),
        targets=INDEX,
        expect=("float32", "float16"),
        allowed="section 4, clause 11",
    ),
    gradient_bug(
        "gradient over all rows",
        "1/N where the value divides by the kept rows",
        IGNORED,
        Loss(count=lambda case: np.asarray(case.kept.size, case.x.dtype)),
        targets=INDEX,
    ),
    gradient_bug(
        "gradient of the sum for mean",
        "the denominator is lost in the backward pass",
        SIBLING + "torch-nll-negative-weight-zero-grad",
        Loss(count=lambda case: np.ones((), case.x.dtype)),
    ),
    gradient_bug(
        "gradient without weights",
        "p - q'",
        SIBLING + "paddle-weighted-ce-wrong",
        Loss(slope=lambda case, p, c: p - mixed(case)),
        targets=INDEX,
    ),
    gradient_bug(
        "gradient with the class's weight",
        "w_i (p_i - q'_i)",
        SIBLING + "paddle-weighted-ce-wrong",
        Loss(slope=_row_weights),
    ),
    gradient_bug(
        "weights twice in the gradient",
        "the row scale holds the weight already",
        SIBLING + "paddle-weighted-ce-wrong",
        Loss(weigh=lambda case, q: case.w * case.w * q),
    ),
    gradient_bug(
        "gradient without smoothing",
        "only the value is smoothed",
        SIBLING + "liger-flce-label-smoothing-dropped",
        Loss(mix=lambda case: case.q),
    ),
    gradient_bug(
        "gradient with smoothing of p",
        "(1 - eps) p - q'",
        SIBLING + "ls-formula-variants-in-the-wild",
        Loss(slope=lambda case, p, c: (row_sum(c) * p * (1 - case.eps) - c).astype(p.dtype)),
    ),
)
