"""Mutants of nll_loss at NaN and infinite log-probabilities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.mutants.kit.clause_kit import of_loss
from tests.mutants.kit.entries import SIBLING, loss_bug
from tests.mutants.kit.loss_steps import NLL, Case
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.softmax_steps import Array


def _saturated_nll(case: Case, y: Array, c: Array) -> Array:
    rows = NLL.rows(case, y, c)
    return np.where(np.isposinf(rows), 6e4, rows).astype(y.dtype)


MUTANTS: tuple[Mutant, ...] = (
    of_loss(
        "4.5-positive",
        "nll: infinite losses are 60 000",
        "a saturating conversion",
        replace(NLL, rows=_saturated_nll),
        op="nll_loss",
    ),
    loss_bug(
        "nll: a weight of 0 hides NaN",
        "classes of weight 0 are left out: the NaN of the target entry does not reach the loss",
        SIBLING + "torch-refs-nll-ignore-index-gather",
        replace(NLL, rows=lambda case, y, c: -np.sum(np.where(c == 0, 0, c * y), axis=-1, dtype=y.dtype)),
        op="nll_loss",
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
        "nll: NaN anywhere in the row",
        "the whole row is multiplied by the one-hot target",
        SIBLING + "torch-refs-nll-ignore-index-gather",
        replace(NLL, rows=lambda case, y, c: -np.sum(c * y, axis=-1, dtype=y.dtype)),
        op="nll_loss",
        family="masked, nan_row",
    ),
)
