"""Mutants of the second derivative of nll_loss."""

from __future__ import annotations

import numpy as np

from tests.mutants.kit.clause_kit import of_loss
from tests.mutants.kit.derivative_steps import Later
from tests.mutants.kit.loss_steps import NLL
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.softmax_steps import row_sum, vjp_softmax

MUTANTS: tuple[Mutant, ...] = (
    of_loss(
        "3-nll-hvp",
        "nll: second derivative of cross-entropy",
        "log-probabilities are taken for logits",
        NLL,
        op="nll_loss",
        derivatives={"hvp": Later(NLL, hvp_rows=lambda case, p, c, v: row_sum(c) * vjp_softmax(np.exp(p), v)).hvp},
    ),
)
