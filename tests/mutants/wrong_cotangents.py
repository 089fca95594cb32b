"""Gradients of cross-entropy: what becomes of the cotangent."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .bugs import INDEX, loss_bug
from .loss import Case, Loss
from .mutant import Mutant
from .parts import (
    Array,
    row_sum,
)

COTANGENT = "SPEC section 3: upstream cotangents"


def spread(change: Callable[[Array], Array]) -> Callable[[Case, Array], Array]:
    """The cotangent of reduction none, changed."""
    return lambda case, v: np.broadcast_to(change(v), v.shape).astype(v.dtype) if v.ndim and v.size else v


def from_rule(name: str, why: str, source: str, of: Loss, **given: object) -> Mutant:
    return loss_bug(name, why, source, Loss(), grad=of.grad, **given)  # type: ignore[arg-type]


def _reversed_cotangent(case: Case, v: Array) -> Array:
    return v[..., ::-1] if v.ndim else v


def _half_scaled(x: Array, cotangent: Array, **options: object) -> Array:
    """The cotangent reaches ``Q p`` and not the target's term."""
    of = Loss(slope=lambda case, p, c: row_sum(c) * p)
    target = Loss(slope=lambda case, p, c: -c, upstream=lambda case, v: np.ones_like(v))
    return of.grad(x, cotangent, **options) + target.grad(x, cotangent, **options)  # type: ignore[arg-type]


MUTANTS = (
    from_rule(
        "cotangent ignored",
        "the gradient of reduction none is taken for the sum's",
        COTANGENT,
        Loss(upstream=spread(np.ones_like)),
    ),
    from_rule(
        "scalar cotangent ignored",
        "mean and sum are the last node: the cotangent is taken for 1",
        COTANGENT,
        Loss(upstream=lambda case, v: v if v.ndim else np.ones_like(v)),
    ),
    from_rule(
        "first cotangent for all rows",
        "cotangent[0] is broadcast",
        COTANGENT,
        Loss(upstream=spread(lambda v: v.reshape(-1)[0])),
    ),
    from_rule(
        "mean of the cotangent",
        "averaged over the rows",
        COTANGENT,
        Loss(upstream=spread(np.mean)),
    ),
    from_rule("sum of the cotangent", "summed instead of applied row by row", COTANGENT, Loss(upstream=spread(np.sum))),
    from_rule(
        "cotangent applied twice",
        "in the fused forward pass and again",
        COTANGENT,
        Loss(upstream=lambda case, v: v * v),
    ),
    from_rule("absolute cotangent", "the sign is lost", COTANGENT, Loss(upstream=lambda case, v: np.abs(v))),
    from_rule("cotangent reversed", "rows in the other order", COTANGENT, Loss(upstream=_reversed_cotangent)),
    from_rule(
        "cotangent divides",
        "1/g, as a loss scale would",
        COTANGENT,
        Loss(upstream=lambda case, v: np.where(v == 0, 0, 1 / v).astype(v.dtype)),
    ),
    loss_bug("cotangent for p only", "g Q p - w q'", COTANGENT, Loss(), grad=_half_scaled, targets=INDEX),
)
