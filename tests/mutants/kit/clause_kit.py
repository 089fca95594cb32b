"""Entries that violate one clause of the specification and nothing else: their source is the clause's id.

Conditions such as "5 to 64 classes" keep a mistake of one clause away from the calls of the others; see
``tests/spec``, which asserts that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np

from .entries import bug, loss_bug
from .loss_steps import CORRECT, Case, Loss
from .mutant import Mutant
from .softmax_steps import PLAIN, Array, Function, Step, over_rows, over_rows_vjp

# Before the id of a clause of tests/spec, in a source.
CLAUSE = "specification clause "
FEW, MANY = 4, 64


# Whether a clause holds has little to do with the format; entries of which it has say so.
SINGLE = ("float32",)


def of_rows(
    op: str,
    clause: str,
    name: str,
    why: str,
    f: Step | None = None,
    vjp: Callable[[Array, Array], Array] | None = None,
    *,
    value: Function | None = None,
    expect: tuple[str, ...] = SINGLE,
    allowed: str = "",
) -> Mutant:
    """An entry of softmax or log_softmax: a function of rows, of rows and cotangents, or of everything."""
    given = value or (over_rows(f) if f else None)
    grad = over_rows_vjp(vjp) if vjp else None
    found = bug(op, name, why, f"{CLAUSE}{clause}", given, grad, expect=expect, allowed=allowed)
    return replace(found, row=f"clause {op}")


def of_loss(
    clause: str,
    name: str,
    why: str,
    of: Loss = CORRECT,
    *,
    op: str = "cross_entropy",
    value: Function | None = None,
    grad: Function | None = None,
    targets: tuple[str, ...] = ("index", "probability"),
    takes: frozenset[str] | None = None,
    expect: tuple[str, ...] = SINGLE,
    derivatives: Mapping[str, Function] | None = None,
    **declared: Any,
) -> Mutant:
    """An entry of a loss; ``declared`` are fields of the mutant."""
    found = loss_bug(
        name,
        why,
        f"{CLAUSE}{clause}",
        of,
        op=op,
        value=value,
        grad=grad,
        targets=targets,
        takes=takes,
        expect=expect,
        derivatives=derivatives,
    )
    return replace(found, row=f"clause {op}", **declared)


def where_rows(condition: Callable[[Case, Array, Array], Array], number: float) -> Loss:
    """Row losses with a number where a condition on (case, log p, c) holds."""

    def rows(case: Case, y: Array, c: Array) -> Array:
        return np.where(condition(case, y, c), number, CORRECT.rows(case, y, c)).astype(y.dtype)

    return Loss(rows=rows)


def where_slope(condition: Callable[[Case, Array, Array], Array], number: float) -> Loss:
    """Slopes with a number where a condition on (case, p, c) holds."""

    def slope(case: Case, p: Array, c: Array) -> Array:
        return np.where(condition(case, p, c), number, CORRECT.slope(case, p, c)).astype(p.dtype)

    return Loss(slope=slope)


def infinities(x: Array) -> Array:
    """How many +inf a row has; -1 where it has NaN."""
    return np.where(np.isnan(x).any(axis=-1), -1, np.isposinf(x).sum(axis=-1))


def masked(x: Array) -> Array:
    """Entries of -inf in rows of finite and -inf that have both."""
    regular = ~np.isnan(x).any(-1) & ~np.isposinf(x).any(-1) & np.isfinite(x).any(-1)
    return np.isneginf(x) & np.asarray(regular)[..., None]


def largest(dtype: Any) -> float:
    """The largest finite number of a dtype."""
    return float(ml_dtypes.finfo(dtype).max)


def at_label(case: Case, a: Array) -> Array:
    """An array's entry at each row's label; of the first class where that is no class."""
    # sanity check: index targets
    assert case.labels is not None
    known = (case.labels >= 0) & (case.labels < case.k)
    return np.take_along_axis(a, np.where(known, case.labels, 0)[..., None], axis=-1)[..., 0]


def several(k: int) -> bool:
    """Whether there are more than four and at most 64 classes."""
    return FEW < k <= MANY


def of_several(f: Step, plain: Step = PLAIN.p) -> Step:
    """A step for 5 to 64 classes."""
    return lambda x: f(x) if several(x.shape[-1]) else plain(x)


def of_two(f: Step, plain: Step = PLAIN.p) -> Step:
    """A step for two classes."""
    return lambda x: f(x) if x.shape[-1] == 2 else plain(x)
