"""The forms in which a sweep asks an op of some rows: which options are given, and which derivatives are wanted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lossproof.adapters.protocol import LOSSES, Problem
from lossproof.core.call import Call
from lossproof.core.formats import F64

# What multiplies the classes in derivatives, with a sum that is not 0 for any number of them, and what a probability
# target gives them. All are exact in every format.
_ALONG = (1.0, -0.5, 0.25)
_PARTS = (0.25, 0.5, 0.125, 0.125)
_UPSTREAM = (1.0, -1.5)


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form of the calls of a sweep.

    ``derivatives`` asks for all that the op has, and not for value and gradient alone; ``dense`` gives a loss
    probabilities as targets.
    """

    derivatives: bool = True
    dense: bool = False


def forms_of(op: str, *, derivatives: bool) -> tuple[Form, ...]:
    """The forms in which an op is asked: both kinds of targets, where it has two."""
    kinds = (False, True) if op == "cross_entropy" else (False,)
    return tuple(Form(derivatives=derivatives, dense=dense) for dense in kinds)


def form_call(op: str, dtype: str, family: str, rows: F64, form: Form, *, label: int, reduction: str = "none") -> Call:
    """Make the call that asks an op of rows ``(n, k)``, whose classes are last.

    ``label`` is the class of every row of a loss with indices.
    """
    n, k = rows.shape
    along = _every_row(_spread(_ALONG, k), n)
    target: NDArray[np.generic] | None = None
    if op in LOSSES:
        target = _every_row(_shares(k), n) if form.dense else np.full(n, label, dtype=np.int64)
    cotangent = along
    if op in LOSSES:
        cotangent = np.full(n if reduction == "none" else (), _UPSTREAM[k % 2])
    problem = Problem(
        op,
        dtype,
        rows,
        target=target,
        cotangent=cotangent,
        reduction=reduction if op in LOSSES else "mean",
        tangent=along if form.derivatives else None,
        wrt_target=form.dense and form.derivatives,
        target_tangent=along if form.dense and form.derivatives else None,
    )
    return Call(problem, family, "sweep", tier="core")


def swept_calls(
    op: str, dtype: str, family: str, rows: F64, *, derivatives: bool, label: int, reduction: str = "none"
) -> Iterator[Call]:
    """Make the calls that ask an op of rows, one for each form."""
    for form in forms_of(op, derivatives=derivatives):
        yield form_call(op, dtype, family, rows, form, label=label, reduction=reduction)


def _spread(values: tuple[float, ...], k: int) -> F64:
    return np.resize(np.array(values), k)


def _shares(k: int) -> F64:
    """Probabilities that sum to exactly 1: those of the first classes, and nothing for what is beyond them."""
    q = np.zeros(k)
    few = min(k, len(_PARTS))
    q[:few] = _PARTS[:few]
    q[few - 1] += 1.0 - q.sum()
    return q


def _every_row(row: F64, n: int) -> F64:
    return np.ascontiguousarray(np.broadcast_to(row, (n, len(row))))
