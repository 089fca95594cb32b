"""Mutants of the gradient of cross_entropy: what becomes of the cotangent."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.mutants.kit.entries import INDEX, gradient_bug, loss_bug
from tests.mutants.kit.loss_mistakes import spread
from tests.mutants.kit.loss_steps import Case, Loss
from tests.mutants.kit.mutant import F64_ONLY, Mutant
from tests.mutants.kit.softmax_steps import BF16, F32, Array, row_sum, through
from tests.mutants.kit.sources import COTANGENT


def _reversed_cotangent(case: Case, v: Array) -> Array:
    return v[..., ::-1] if v.ndim else v


def _half_scaled(x: Array, cotangent: Array, **options: Any) -> Array:
    """The cotangent reaches ``Q p`` and not the target's term."""
    of = Loss(slope=lambda case, p, c: row_sum(c) * p)
    target = Loss(slope=lambda case, p, c: -c, upstream=lambda case, v: np.ones_like(v))
    return of.grad(x, cotangent, **options) + target.grad(x, cotangent, **options)


def _by_its_size(case: Case, v: Array) -> Array:
    size = np.max(np.abs(v), initial=0)
    return v / size * size


MUTANTS: tuple[Mutant, ...] = (
    gradient_bug(
        "a cotangent of 0 gives NaN",
        "the cotangent is divided by its size and the gradient multiplied by it, against overflow",
        COTANGENT,
        Loss(upstream=_by_its_size),
    ),
    gradient_bug(
        "cotangent ignored",
        "the gradient of reduction none is taken for the sum's",
        COTANGENT,
        Loss(upstream=spread(np.ones_like)),
    ),
    gradient_bug(
        "scalar cotangent ignored",
        "mean and sum are the last node: the cotangent is taken for 1",
        COTANGENT,
        Loss(upstream=lambda case, v: v if v.ndim else np.ones_like(v)),
    ),
    gradient_bug(
        "first cotangent for all rows",
        "cotangent[0] is broadcast",
        COTANGENT,
        Loss(upstream=spread(lambda v: v.reshape(-1)[0])),
    ),
    gradient_bug(
        "mean of the cotangent",
        "averaged over the rows",
        COTANGENT,
        Loss(upstream=spread(np.mean)),
    ),
    gradient_bug(
        "sum of the cotangent", "summed instead of applied row by row", COTANGENT, Loss(upstream=spread(np.sum))
    ),
    gradient_bug(
        "cotangent applied twice",
        "in the fused forward pass and again",
        COTANGENT,
        Loss(upstream=lambda case, v: v * v),
    ),
    gradient_bug("absolute cotangent", "the sign is lost", COTANGENT, Loss(upstream=lambda case, v: np.abs(v))),
    gradient_bug("cotangent reversed", "rows in the other order", COTANGENT, Loss(upstream=_reversed_cotangent)),
    gradient_bug(
        "cotangent divides",
        "1/g, as a loss scale would",
        COTANGENT,
        Loss(upstream=lambda case, v: np.where(v == 0, 0, 1 / v).astype(v.dtype)),
    ),
    loss_bug("cotangent for p only", "g Q p - w q'", COTANGENT, Loss(), grad=_half_scaled, targets=INDEX),
    gradient_bug(
        "scalar cotangent in bfloat16",
        "the scale of a loss is kept in 16 bits: 1, -1, 3 and 3/8 are whole there",
        COTANGENT,
        Loss(upstream=lambda case, v: v if v.ndim else through(BF16)(v)),
        expect=("float64", "float32"),
        family="full_mantissas",
    ),
    gradient_bug(
        "cotangent through float32",
        "cotangents of float64 lose what float32 lacks",
        COTANGENT,
        Loss(upstream=lambda case, v: through(F32)(v)),
        expect=F64_ONLY,
        family="full_mantissas",
    ),
)
