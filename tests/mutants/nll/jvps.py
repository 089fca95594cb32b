"""Mutants of the Jacobian-vector product of nll_loss."""

from __future__ import annotations

import numpy as np

from tests.mutants.kit.derivative_steps import Later
from tests.mutants.kit.entries import INDEX, SIBLING, loss_bug
from tests.mutants.kit.loss_steps import NLL, Loss
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.softmax_steps import Function, row_sum
from tests.mutants.kit.sources import JVP


def _nll(name: str, why: str, source: str, f: Function) -> Mutant:
    return loss_bug(name, why, source, NLL, op="nll_loss", derivatives={"jvp": f}, targets=INDEX)


MUTANTS: tuple[Mutant, ...] = (
    _nll(
        "jvp without weights",
        "-v at the target",
        SIBLING + JVP,
        Later(Loss(**{**vars(NLL), "weigh": lambda case, q: q})).jvp,
    ),
    _nll(
        "jvp of all classes",
        "the direction is summed over the classes",
        SIBLING + JVP,
        Later(NLL, jvp_rows=lambda case, p, c, v: -np.sum(row_sum(c) * v, axis=-1)).jvp,
    ),
)
