"""Mutants of the second derivative of cross_entropy in the logits."""

from __future__ import annotations

import numpy as np

from tests.mutants.kit.derivative_steps import Later
from tests.mutants.kit.entries import DENSE, INDEX, SIBLING, derivative_bug
from tests.mutants.kit.loss_steps import CORRECT, Case, Loss, Scale
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.softmax_steps import Array, row_sum, vjp_softmax
from tests.mutants.kit.sources import HESSIAN, HYPER


def _clamped_hessian(case: Case, p: Array, c: Array, v: Array) -> Array:
    total = row_sum(c)
    if case.labels is not None:
        clamped = case.w[np.clip(case.labels, 0, case.k - 1)][..., None]
        total = np.where(case.kept[..., None], total, clamped).astype(p.dtype)
    return total * vjp_softmax(p, v)


def _sum_scale(case: Case) -> Scale:
    return CORRECT.upstream, None


def _first_scale(case: Case) -> Scale:
    return _first, CORRECT.divisor(case)


def _first(case: Case, v: Array) -> Array:
    return np.full_like(v, v.flat[0]) if v.size else v


MUTANTS: tuple[Mutant, ...] = (
    derivative_bug(
        "second derivative 0",
        "the fused backward output is taken for a constant",
        HESSIAN,
        Later(hvp_rows=lambda case, p, c, v: np.zeros_like(p)),
    ),
    derivative_bug(
        "sign of the second derivative",
        "-Q p (v - <p, v>)",
        SIBLING + HESSIAN,
        Later(hvp_rows=lambda case, p, c, v: -row_sum(c) * vjp_softmax(p, v)),
    ),
    derivative_bug(
        "second derivative without -<p, v>",
        "Q p v",
        SIBLING + HESSIAN,
        Later(hvp_rows=lambda case, p, c, v: row_sum(c) * p * v),
    ),
    derivative_bug(
        "second derivative without Q",
        "p (v - <p, v>): weights are lost",
        SIBLING + HESSIAN,
        Later(hvp_rows=lambda case, p, c, v: vjp_softmax(p, v)),
    ),
    derivative_bug(
        "Gauss-Newton with targets",
        "p (v - <q, v>): the target's distribution instead of the model's",
        SIBLING + HESSIAN,
        Later(hvp_rows=lambda case, p, c, v: row_sum(c) * p * v - p * row_sum(c * v)),
    ),
    derivative_bug(
        "second derivative of ignored rows",
        "ignored rows, with a clamped label, are masked in the gradient only",
        SIBLING + "paddle-ignored-rows-get-gradient",
        Later(Loss(mask_slope=lambda case, z: z), hvp_rows=_clamped_hessian),
        targets=INDEX,
    ),
    derivative_bug(
        "second derivative of the sum",
        "the mean's denominator is lost in the second pass",
        SIBLING + HESSIAN,
        Later(scale=_sum_scale),
        targets=INDEX,
    ),
    derivative_bug(
        "second derivatives with the first cotangent",
        "the cotangent of row 0 is used for all rows",
        SIBLING + HYPER,
        Later(scale=_first_scale),
        targets=DENSE,
    ),
)
