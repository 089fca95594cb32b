"""Mutants of the JVP, the second derivatives and the target gradient of cross-entropy."""

from __future__ import annotations

import numpy as np

from .bugs import INDEX, SIBLING, loss_bug
from .later import Later, y_scale
from .loss import Case, Loss
from .mutant import Mutant
from .parts import PLAIN, Array, row_sum, vjp_softmax
from .second_rows import HESSIAN, JVP

HYPER = "tf-xent-hypergradient-wrt-labels-zero"


CORRECT = Loss()


DENSE = ("probability",)


def _loss(
    name: str, why: str, source: str, of: Later, *, targets: tuple[str, ...] = ("index", "probability")
) -> Mutant:
    return loss_bug(name, why, source, CORRECT, derivatives=of.functions(), targets=targets)


def _jvp_of_log(case: Case, p: Array, c: Array, v: Array) -> Array:
    y = PLAIN.y(case.x)
    return np.sum(-c * (v - row_sum(p * v)) + 0 * y, axis=-1, dtype=v.dtype)


def _clamped_hessian(case: Case, p: Array, c: Array, v: Array) -> Array:
    total = row_sum(c)
    if case.labels is not None:
        clamped = case.w[np.clip(case.labels, 0, case.k - 1)][..., None]
        total = np.where(case.kept[..., None], total, clamped).astype(p.dtype)
    return total * vjp_softmax(p, v)


def _sum_scale(case: Case, cotangent: Array) -> Array:
    return cotangent.astype(case.x.dtype)[..., None]


def _first_scale(case: Case, cotangent: Array) -> Array:
    g = CORRECT.row_scale(case, cotangent)
    return np.broadcast_to(g.reshape(-1)[:1], g.shape).copy() if g.size else g


def _clipped_log(case: Case, g: Array, y: Array) -> Array:
    return -(g * (y_scale(case) * case.w)) * np.maximum(y, y.dtype.type(-16))


MUTANTS = (
    _loss(
        "jvp NaN at masked classes",
        "0 times the log of a masked probability",
        JVP,
        Later(jvp_rows=_jvp_of_log),
    ),
    _loss(
        "jvp without -<p, v>",
        "-<c, v>: the normaliser is taken for a constant",
        SIBLING + JVP,
        Later(jvp_rows=lambda case, p, c, v: -np.sum(c * v, axis=-1)),
    ),
    _loss(
        "jvp without Q",
        "<p - c, v>: weights are not in the first term",
        SIBLING + JVP,
        Later(jvp_rows=lambda case, p, c, v: np.sum((p - c) * v, axis=-1)),
        targets=INDEX,
    ),
    _loss(
        "jvp of the sum",
        "the reduction is not applied to the tangent",
        SIBLING + JVP,
        Later(Loss(denominator=lambda case: np.ones((), case.x.dtype))),
    ),
    _loss(
        "jvp counts ignored rows",
        "the tangent of ignored rows is not masked",
        SIBLING + "paddle-ignored-rows-get-gradient",
        Later(Loss(mask=lambda case, rows: rows)),
        targets=INDEX,
    ),
    _loss(
        "second derivative 0",
        "the fused backward output is taken for a constant",
        HESSIAN,
        Later(hvp_rows=lambda case, p, c, v: np.zeros_like(p)),
    ),
    _loss(
        "sign of the second derivative",
        "-Q p (v - <p, v>)",
        SIBLING + HESSIAN,
        Later(hvp_rows=lambda case, p, c, v: -row_sum(c) * vjp_softmax(p, v)),
    ),
    _loss(
        "second derivative without -<p, v>",
        "Q p v",
        SIBLING + HESSIAN,
        Later(hvp_rows=lambda case, p, c, v: row_sum(c) * p * v),
    ),
    _loss(
        "second derivative without Q",
        "p (v - <p, v>): weights are lost",
        SIBLING + HESSIAN,
        Later(hvp_rows=lambda case, p, c, v: vjp_softmax(p, v)),
    ),
    _loss(
        "Gauss-Newton with targets",
        "p (v - <q, v>): the target's distribution instead of the model's",
        SIBLING + HESSIAN,
        Later(hvp_rows=lambda case, p, c, v: row_sum(c) * p * v - p * row_sum(c * v)),
    ),
    _loss(
        "second derivative of ignored rows",
        "ignored rows, with a clamped label, are masked in the gradient only",
        SIBLING + "paddle-ignored-rows-get-gradient",
        Later(Loss(mask_slope=lambda case, z: z), hvp_rows=_clamped_hessian),
        targets=INDEX,
    ),
    _loss(
        "second derivative of the sum",
        "the mean's denominator is lost in the second pass",
        SIBLING + HESSIAN,
        Later(scale=_sum_scale),
        targets=INDEX,
    ),
    _loss(
        "second derivatives with the first cotangent",
        "the cotangent of row 0 is used for all rows",
        SIBLING + HYPER,
        Later(scale=_first_scale),
        targets=DENSE,
    ),
    _loss(
        "no gradient for targets",
        "labels are taken for constants",
        SIBLING + HYPER,
        Later(target_rows=lambda case, g, y: np.zeros_like(y)),
        targets=DENSE,
    ),
    _loss(
        "target gradient without 1 - eps",
        "smoothing is not differentiated",
        SIBLING + HYPER,
        Later(target_rows=lambda case, g, y: -(g * case.w) * y),
        targets=DENSE,
    ),
    _loss(
        "target gradient without weights",
        "-g log p",
        SIBLING + HYPER,
        Later(target_rows=lambda case, g, y: -g * y_scale(case) * y),
        targets=DENSE,
    ),
    _loss(
        "target gradient clipped",
        "log p is never below -16: the gradient disagrees with the value",
        SIBLING + "keras-cce-probs-clipped-1e-7",
        Later(target_rows=_clipped_log),
        targets=DENSE,
    ),
    _loss(
        "target gradient 0 where the target is 0",
        "classes of weight 0 are dropped before the derivative is taken",
        "jax-logsumexp-b-zero-gradient",
        Later(target_rows=lambda case, g, y: np.where(case.q == 0, 0, -(g * (y_scale(case) * case.w)) * y)),
        targets=DENSE,
    ),
    _loss(
        "target gradient of opposite sign",
        "g log p",
        SIBLING + HYPER,
        Later(target_rows=lambda case, g, y: g * (y_scale(case) * case.w) * y),
        targets=DENSE,
    ),
    _loss(
        "mixed derivative 0",
        "the logit gradient is taken for a constant in the labels",
        HYPER,
        Later(mixed_rows=lambda case, p, u: np.zeros_like(p)),
        targets=DENSE,
    ),
    _loss(
        "mixed derivative -w u",
        "right only for directions that keep the sum of the targets",
        HYPER,
        Later(mixed_rows=lambda case, p, u: -y_scale(case) * case.w * u),
        targets=DENSE,
    ),
    _loss(
        "mixed derivative without 1 - eps",
        "smoothing is not differentiated",
        SIBLING + HYPER,
        Later(mixed_rows=lambda case, p, u: p * row_sum(case.w * u) - case.w * u),
        targets=DENSE,
    ),
    _loss(
        "mixed derivative without weights",
        "p sum u - u",
        SIBLING + HYPER,
        Later(mixed_rows=lambda case, p, u: y_scale(case) * (p * row_sum(u) - u)),
        targets=DENSE,
    ),
)
