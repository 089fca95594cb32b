"""Mutants of the Jacobian-vector products of cross_entropy, in the logits and in the targets."""

from __future__ import annotations

import numpy as np

from tests.mutants.kit.clause_kit import of_loss
from tests.mutants.kit.derivative_steps import Later
from tests.mutants.kit.entries import DENSE, INDEX, SIBLING, derivative_bug
from tests.mutants.kit.loss_steps import Case, Loss
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.softmax_steps import PLAIN, Array, row_sum
from tests.mutants.kit.sources import JVP


def _jvp_of_log(case: Case, p: Array, c: Array, v: Array) -> Array:
    y = PLAIN.y(case.x)
    return np.sum(-c * (v - row_sum(p * v)) + 0 * y, axis=-1, dtype=v.dtype)


MUTANTS: tuple[Mutant, ...] = (
    of_loss(
        "3-ce-jvp-target",
        "jvp in the targets without 1 - eps",
        "smoothing is not differentiated",
        derivatives=Later(
            target_jvp_rows=lambda case, u, y: -np.sum(np.where(u == 0, 0, case.w * u * y), -1, dtype=y.dtype)
        ).functions(),
        targets=DENSE,
    ),
    derivative_bug(
        "jvp NaN at masked classes",
        "0 times the log of a masked probability",
        JVP,
        Later(jvp_rows=_jvp_of_log),
    ),
    derivative_bug(
        "jvp without -<p, v>",
        "-<c, v>: the normaliser is taken for a constant",
        SIBLING + JVP,
        Later(jvp_rows=lambda case, p, c, v: -np.sum(c * v, axis=-1)),
    ),
    derivative_bug(
        "jvp without Q",
        "<p - c, v>: weights are not in the first term",
        SIBLING + JVP,
        Later(jvp_rows=lambda case, p, c, v: np.sum((p - c) * v, axis=-1)),
        targets=INDEX,
    ),
    derivative_bug(
        "jvp of the sum",
        "the reduction is not applied to the tangent",
        SIBLING + JVP,
        Later(Loss(denominator=lambda case: np.ones((), case.x.dtype))),
    ),
    derivative_bug(
        "jvp counts ignored rows",
        "the tangent of ignored rows is not masked",
        SIBLING + "paddle-ignored-rows-get-gradient",
        Later(Loss(mask=lambda case, rows: rows)),
        targets=INDEX,
    ),
)
