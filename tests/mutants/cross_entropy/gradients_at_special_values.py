"""Mutants of the gradient of cross_entropy at NaN, infinite and masked logits."""

from __future__ import annotations

import numpy as np

from tests.mutants.kit.clause_kit import infinities, masked, of_loss, where_slope
from tests.mutants.kit.entries import DENSE, INDEX, SIBLING, gradient_bug, loss_bug
from tests.mutants.kit.loss_steps import CORRECT, Case, Loss, slope
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.softmax_steps import Array, vjp_softmax


def _through_p(case: Case, p: Array, c: Array) -> Array:
    return vjp_softmax(p, -c / p) if case.labels is None else slope(case, p, c)


def _over_finite(case: Case) -> Array:
    finite = np.isfinite(case.x)
    share = finite / np.maximum(finite.sum(axis=-1, keepdims=True), 1)
    return ((1 - case.eps) * case.q + case.eps * share).astype(case.x.dtype)


def _plain_masked(case: Case, p: Array, c: Array) -> Array:
    """Masked classes beside the label, with neither weights nor smoothing."""
    plain = case.labels is not None and not case.weighted and case.eps == 0
    return masked(case.x) & (case.q == 0) & plain


MUTANTS: tuple[Mutant, ...] = (
    loss_bug(
        "gradient through 1/p",
        "-q/p times the Jacobian: NaN where p underflows",
        "theano-log-of-softmax-grad-nan (Theano/Theano#3162)",
        Loss(slope=_through_p),
        targets=("probability",),
        family="spread",
    ),
    of_loss(
        "4.1-gradient",
        "gradient 0 of NaN rows without reduction",
        "nan_to_num in the backward pass",
        where_slope(
            lambda case, p, c: np.asarray(np.isnan(case.x).any(-1, keepdims=True) & (case.reduction == "none")), 0.0
        ),
    ),
    of_loss(
        "4.2-unchanged-K",
        "uniform part over finite classes in the gradient",
        "masked classes get no share of eps",
        value=CORRECT.value,
        grad=Loss(mix=_over_finite).grad,
    ),
    of_loss(
        "4.2-gradient",
        "gradient NaN at masked classes beside the label",
        "0 times -inf in the backward pass of plain labels",
        where_slope(_plain_masked, np.nan),
    ),
    of_loss(
        "4.4-gradient",
        "no gradient beside +inf",
        "rows with +inf are skipped in the backward pass",
        where_slope(lambda case, p, c: (infinities(case.x) > 0)[..., None], 0.0),
    ),
    of_loss(
        "4.5-gradient",
        "gradient NaN at a masked label",
        "the gradient goes through the infinite loss",
        where_slope(lambda case, p, c: masked(case.x) & (c != 0), np.nan),
        takes=frozenset({"axis", "reduction", "ignore_index"}),
        targets=INDEX,
    ),
    of_loss(
        "4.6-gradient",
        "gradient NaN at masked classes of probability 0",
        "0 times -inf in the backward pass of probability targets",
        where_slope(lambda case, p, c: masked(case.x) & (case.q == 0) & (case.labels is None), np.nan),
        targets=DENSE,
    ),
    gradient_bug(
        "infinite loss has gradient NaN",
        "a masked target's gradient goes through its loss",
        SIBLING + "nnlib-logsoftmax-grad-overflow",
        Loss(
            slope=lambda case, p, c: (
                slope(case, p, c) + 0 * np.sum(np.where(c == 0, 0, c * np.log(p)), -1, keepdims=True)
            )
        ),
        family="masked_target",
    ),
    gradient_bug(
        "NaN rows get gradient 0",
        "nan_to_num in the backward pass",
        SIBLING + "torch-linear-cross-entropy-masked-row",
        Loss(slope=lambda case, p, c: np.nan_to_num(slope(case, p, c))),
        family="nan_row",
    ),
    gradient_bug(
        "a NaN row spoils the batch",
        "the gradient is divided by the sum of all losses",
        SIBLING + "torch-linear-cross-entropy-masked-row",
        Loss(leave_grad=lambda z: z + 0 * np.sum(z)),
        family="nan_row",
    ),
)
