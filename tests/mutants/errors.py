"""Mutants that accept arguments which the specification calls errors (section 4, clause 15)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .kit.clause_kit import of_loss, of_rows
from .kit.entries import DENSE
from .kit.loss_steps import CORRECT, Case, Loss
from .kit.mutant import Mutant
from .kit.softmax_steps import PLAIN, Array, vjp_softmax


def _quarter(when: Callable[[float], bool]) -> Callable[[Case], Case]:
    return lambda case: replace(case, eps=0.25) if when(case.eps) else case


def _finite_weights(case: Case) -> Case:
    return replace(case, w=np.nan_to_num(case.w, nan=1.0, posinf=1.0, neginf=1.0))


def _finite_targets(case: Case) -> Case:
    return case if case.labels is not None else replace(case, q=np.nan_to_num(case.q, posinf=1.0))


def _fitted(x: Array, cotangent: Array | None = None, **options: Any) -> Array:
    target = options["target"]
    n = x.shape[0]
    if target.ndim == 1 and x.ndim == 2 and len(target) != n and options["axis"] in (-1, 1):
        options["target"] = np.resize(target if target.size else np.zeros(1, np.int64), n)
    return CORRECT.value(x, **options) if cotangent is None else CORRECT.grad(x, cotangent, **options)


def _sum_for_unknown(x: Array, *, reduction: str = "mean", **options: Any) -> Array:
    return CORRECT.value(x, reduction=reduction if reduction in ("none", "mean") else "sum", **options)


MUTANTS: tuple[Mutant, ...] = (
    of_loss(
        "4.15-eps",
        "smoothing out of range is 0.25",
        "a default takes its place",
        Loss(read=_quarter(lambda eps: eps < 0 or eps > 1)),
    ),
    of_loss(
        "4.15-eps-nan",
        "smoothing NaN is 0.25",
        "a default takes its place",
        Loss(read=_quarter(lambda eps: eps != eps)),
    ),
    of_loss("4.15-weight", "weights that are not finite are 1", "nan_to_num", Loss(read=_finite_weights)),
    of_loss(
        "4.15-target",
        "probabilities that are not finite are 0 or 1",
        "nan_to_num",
        Loss(read=_finite_targets),
        targets=DENSE,
    ),
    of_rows(
        "softmax",
        "4.15-cotangent",
        "cotangents that are not finite are 0",
        "nan_to_num",
        vjp=lambda x, v: vjp_softmax(PLAIN.p(x), np.nan_to_num(v)),
    ),
    of_loss(
        "4.15-shapes",
        "labels repeated until they fit",
        "numpy.resize",
        value=_fitted,
        grad=_fitted,
    ),
    of_loss("4.15-reduction", "unknown reduction is sum", "the last branch of an if", value=_sum_for_unknown),
)
