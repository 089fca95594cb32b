"""Mutants of the value of nll_loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.mutants.kit.entries import loss_bug
from tests.mutants.kit.loss_steps import NLL, Case
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.softmax_steps import Array
from tests.mutants.kit.sources import SECTION_2


def _twice_alone(case: Case, y: Array, c: Array) -> Array:
    rows = NLL.rows(case, y, c)
    return rows if case.x.ndim > 1 else rows * 2


MUTANTS: tuple[Mutant, ...] = (
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
        "nll: one row without a batch doubled",
        "a batch axis is added, and the row is summed with itself",
        SECTION_2,
        replace(NLL, rows=_twice_alone),
        op="nll_loss",
    ),
)
