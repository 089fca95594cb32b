"""Mutants of the gradient of nll_loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.mutants.kit.clause_kit import of_loss
from tests.mutants.kit.entries import SIBLING, loss_bug
from tests.mutants.kit.loss_mistakes import spread, unmasked
from tests.mutants.kit.loss_steps import NLL, Case
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.softmax_steps import Array, row_sum
from tests.mutants.kit.sources import COTANGENT, IGNORED, SECTION_2


def _zero_if_not_positive(case: Case, z: Array) -> Array:
    dead = case.reduction == "mean" and case.labels is not None and not case.scale.sum() > 0
    return np.where(case.kept[..., None] & (not dead), z, 0).astype(z.dtype)


def _leaking(case: Case, p: Array, c: Array) -> Array:
    return -c - (np.roll(c, 1, axis=-1) / 4 if case.k > 2 else 0)


MUTANTS: tuple[Mutant, ...] = (
    loss_bug(
        "no gradient for a sum of weights that is not positive",
        "the guard of the division is total_weight > 0",
        "torch-nll-negative-weight-zero-grad (pytorch/pytorch#64256)",
        replace(NLL, mask_slope=_zero_if_not_positive),
        op="nll_loss",
    ),
    of_loss(
        "3-nll-elsewhere",
        "gradient leaks into the next class",
        "a scatter of two entries for more than two classes",
        replace(NLL, slope=_leaking),
        op="nll_loss",
    ),
    of_loss(
        "4.1-nll-gradient",
        "nll: gradient NaN at a NaN",
        "the gradient goes through the loss",
        replace(NLL, slope=lambda case, p, c: np.where(np.isnan(p) & (c != 0), np.nan, -c)),
        op="nll_loss",
    ),
    loss_bug(
        "nll: gradient p - q",
        "the gradient of cross-entropy",
        SECTION_2,
        replace(NLL, slope=lambda case, p, c: np.exp(p) * row_sum(c) - c),
        op="nll_loss",
    ),
    loss_bug(
        "nll: cotangent ignored",
        "taken for 1",
        COTANGENT,
        NLL,
        op="nll_loss",
        grad=replace(NLL, upstream=spread(np.ones_like)).grad,
    ),
    loss_bug(
        "nll: first cotangent for all rows",
        "cotangent[0] is broadcast",
        COTANGENT,
        NLL,
        op="nll_loss",
        grad=replace(NLL, upstream=spread(lambda v: v.reshape(-1)[0])).grad,
    ),
    loss_bug(
        "nll: gradient without weights",
        "-1 at the target",
        SIBLING + "torch-nll-negative-weight-zero-grad",
        NLL,
        op="nll_loss",
        grad=replace(NLL, weigh=lambda case, q: q).grad,
    ),
    loss_bug(
        "nll: gradient over all rows",
        "1/N where the value divides by weights",
        SIBLING + "torch-nll-negative-weight-zero-grad",
        NLL,
        op="nll_loss",
        grad=replace(NLL, count=lambda case: np.asarray(case.kept.size, case.x.dtype)).grad,
    ),
    loss_bug(
        "nll: gradient in all classes",
        "the target's gradient is not scattered",
        SIBLING + "torch-cuda-nll2d-backward-int32",
        NLL,
        op="nll_loss",
        grad=replace(NLL, slope=lambda case, p, c: np.broadcast_to(-row_sum(c), c.shape)).grad,
    ),
    loss_bug(
        "nll: gradient of ignored rows",
        "the sentinel is clamped to class 0",
        IGNORED,
        NLL,
        op="nll_loss",
        grad=replace(
            NLL,
            read=lambda case: replace(
                case, q=np.where(case.kept[..., None], case.q, np.arange(case.k) == 0).astype(case.x.dtype)
            ),
            mask_slope=unmasked,
        ).grad,
    ),
)
