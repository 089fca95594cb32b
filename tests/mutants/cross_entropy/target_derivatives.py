"""Mutants of the gradient of cross_entropy in the targets and of the mixed second derivative."""

from __future__ import annotations

import numpy as np

from tests.mutants.kit.clause_kit import of_loss
from tests.mutants.kit.derivative_steps import Later, target_rows, y_scale
from tests.mutants.kit.entries import DENSE, SIBLING, derivative_bug
from tests.mutants.kit.loss_steps import Case
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.softmax_steps import Array, row_sum
from tests.mutants.kit.sources import HYPER


def _target_infinite(case: Case, g: Array, y: Array) -> Array:
    return np.where(np.isneginf(y), np.sign(g) * np.inf, target_rows(case, g, y)).astype(y.dtype)


def _clipped_log(case: Case, g: Array, y: Array) -> Array:
    return -(g * (y_scale(case) * case.w)) * np.maximum(y, y.dtype.type(-16))


MUTANTS: tuple[Mutant, ...] = (
    of_loss(
        "4.5-dq-weightless",
        "target gradient infinite whatever the weight",
        "the weight is not looked at where log p = -inf",
        derivatives=Later(target_rows=_target_infinite).functions(),
        targets=DENSE,
    ),
    derivative_bug(
        "no gradient for targets",
        "labels are taken for constants",
        SIBLING + HYPER,
        Later(target_rows=lambda case, g, y: np.zeros_like(y)),
        targets=DENSE,
    ),
    derivative_bug(
        "target gradient without 1 - eps",
        "smoothing is not differentiated",
        SIBLING + HYPER,
        Later(target_rows=lambda case, g, y: -(g * case.w) * y),
        targets=DENSE,
    ),
    derivative_bug(
        "target gradient without weights",
        "-g log p",
        SIBLING + HYPER,
        Later(target_rows=lambda case, g, y: -g * y_scale(case) * y),
        targets=DENSE,
    ),
    derivative_bug(
        "target gradient clipped",
        "log p is never below -16: the gradient disagrees with the value",
        SIBLING + "keras-cce-probs-clipped-1e-7",
        Later(target_rows=_clipped_log),
        targets=DENSE,
    ),
    derivative_bug(
        "target gradient 0 where the target is 0",
        "classes of weight 0 are dropped before the derivative is taken",
        "jax-logsumexp-b-zero-gradient",
        Later(target_rows=lambda case, g, y: np.where(case.q == 0, 0, -(g * (y_scale(case) * case.w)) * y)),
        targets=DENSE,
    ),
    derivative_bug(
        "target gradient of opposite sign",
        "g log p",
        SIBLING + HYPER,
        Later(target_rows=lambda case, g, y: g * (y_scale(case) * case.w) * y),
        targets=DENSE,
    ),
    derivative_bug(
        "mixed derivative 0",
        "the logit gradient is taken for a constant in the labels",
        HYPER,
        Later(mixed_rows=lambda case, p, u: np.zeros_like(p)),
        targets=DENSE,
    ),
    derivative_bug(
        "mixed derivative -w u",
        "right only for directions that keep the sum of the targets",
        HYPER,
        Later(mixed_rows=lambda case, p, u: -y_scale(case) * case.w * u),
        targets=DENSE,
    ),
    derivative_bug(
        "mixed derivative without 1 - eps",
        "smoothing is not differentiated",
        SIBLING + HYPER,
        Later(mixed_rows=lambda case, p, u: p * row_sum(case.w * u) - case.w * u),
        targets=DENSE,
    ),
    derivative_bug(
        "mixed derivative without weights",
        "p sum u - u",
        SIBLING + HYPER,
        Later(mixed_rows=lambda case, p, u: y_scale(case) * (p * row_sum(u) - u)),
        targets=DENSE,
    ),
)
