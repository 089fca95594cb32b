"""Mutants of SPEC section 4, clauses 12 to 15, one each: labels, options without a meaning, non-finite inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .bugs import INDEX
from .clause_kit import CORRECT, DENSE, of_loss, of_rows
from .loss import Case, Loss, known_labels, relabelled, row_losses
from .mutant import Mutant
from .parts import PLAIN, Array, same, vjp_softmax
from .wrong_labels import unknown
from .wrong_sentinels import with_labels

ADDRESSES = (2**15, 2**31)


def _within_32_bits(case: Case) -> Case:
    if case.labels is not None and (np.abs(case.labels.astype(np.float64)) > 2**31).any():
        raise TypeError("labels must be int32")
    return known_labels(case)


def _only_int64(case: Case) -> Case:
    if case.labels is None or case.labels.dtype == np.int64:
        return known_labels(case)
    return relabelled(case, np.zeros(case.labels.shape, dtype=np.int64))


def _far(case: Case) -> Array:
    # sanity check: index targets only
    assert case.labels is not None
    return unknown(case) & (case.labels > ADDRESSES[0]) & (case.labels < ADDRESSES[1])


def _far_accepted(case: Case) -> Case:
    if case.labels is None:
        return case
    known_labels(replace(case, kept=case.kept & ~_far(case)))
    return case


def _far_by_address(case: Case, y: Array, c: Array) -> Array:
    rows = row_losses(case, y, c)
    if case.labels is None:
        return rows
    at = np.arange(case.labels.size).reshape(case.labels.shape) * case.k + case.labels
    return np.where(_far(case), -y.reshape(-1)[at % y.size], rows).astype(y.dtype)


def _twice(labels: Array, k: int) -> Array:
    return (labels >= -2 * k) & (labels < -k)


def _nan_for_unknown(case: Case, y: Array, c: Array) -> Array:
    rows = row_losses(case, y, c)
    return rows if case.labels is None else np.where(unknown(case), np.nan, rows).astype(y.dtype)


def _minus_p(case: Case, p: Array, c: Array) -> Array:
    z = CORRECT.slope(case, p, c)
    return z if case.labels is None else np.where(unknown(case)[..., None], -p, z).astype(p.dtype)


def _quarter(when: Callable[[float], bool]) -> Callable[[Case], Case]:
    return lambda case: replace(case, eps=0.25) if when(case.eps) else case


def _finite_weights(case: Case) -> Case:
    return replace(case, w=np.nan_to_num(case.w, nan=1.0, posinf=1.0, neginf=1.0))


def _finite_targets(case: Case) -> Case:
    return case if case.labels is not None else replace(case, q=np.nan_to_num(case.q, posinf=1.0))


def _clamped(case: Case, y: Array, c: Array) -> Array:
    rows = row_losses(case, y, c)
    return np.where(np.isfinite(rows) & (rows < 0), 0, rows).astype(y.dtype)


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
        "4.12-int64",
        "labels beyond 32 bits refused",
        "int64 labels are accepted as far as int32 goes",
        Loss(guard=_within_32_bits),
        targets=INDEX,
    ),
    of_loss(
        "4.12-other-types",
        "labels of other types are class 0",
        "a buffer of int32 that is read as if it were empty",
        Loss(guard=_only_int64),
        targets=INDEX,
    ),
    of_loss(
        "4.13-silent",
        "labels from -2 K on wrap twice",
        "-K - 1 is the last class",
        Loss(guard=lambda case: known_labels(with_labels(lambda y, k: np.where(_twice(y, k), y + 2 * k, y))(case))),
        targets=INDEX,
    ),
    of_loss(
        "4.13-memory",
        "labels beyond 15 bits read by address",
        "x[i K + y] without a bounds check",
        Loss(guard=_far_accepted, rows=_far_by_address),
        targets=INDEX,
    ),
    of_loss(
        "4.13-gradient",
        "unknown label gives NaN and the gradient -p",
        "none of NaN, 0 and g Q p",
        Loss(guard=same, rows=_nan_for_unknown, slope=_minus_p),
        targets=INDEX,
    ),
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
    of_loss(
        "4.15-negative-weights",
        "losses clamped at 0",
        "a cross-entropy is never negative, it is assumed",
        Loss(rows=_clamped),
    ),
    of_loss("4.15-reduction", "unknown reduction is sum", "the last branch of an if", value=_sum_for_unknown),
)
