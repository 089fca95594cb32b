"""Mutants of nll_loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .bugs import SIBLING, loss_bug
from .loss import NLL
from .parts import row_sum
from .wrong_losses import SECTION_2
from .wrong_weights import WEIGHT

MUTANTS = (
    loss_bug(
        "nll: a weight of 0 hides NaN",
        "classes of weight 0 are left out: the NaN of the target entry does not reach the loss",
        SIBLING + "torch-refs-nll-ignore-index-gather",
        replace(NLL, rows=lambda case, y, c: -np.sum(np.where(c == 0, 0, c * y), axis=-1, dtype=y.dtype)),
        op="nll_loss",
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
)
