"""Mutants of SPEC section 4, clauses 7 to 9, one each: range, one class, subnormals."""

from __future__ import annotations

from typing import Any

import numpy as np

from .clause_kit import CORRECT, largest, of_loss, of_rows
from .loss import Case, Loss, sum_of_weights
from .mutant import Mutant
from .parts import F16, PLAIN, Array, over_rows, through


def _below_quarter(x: Array, *, axis: int = -1) -> Array:
    y = over_rows(PLAIN.y)(x, axis=axis)
    return np.where(y < -largest(x.dtype) / 4, -np.inf, y).astype(x.dtype)


def _saturating(x: Array, *, axis: int = -1) -> Array:
    y = over_rows(PLAIN.y)(x, axis=axis)
    finite = np.isfinite(x).all(axis=axis, keepdims=True)
    return np.where(finite & np.isneginf(y), -largest(x.dtype), y).astype(x.dtype)


def _saturated_rows(case: Case, y: Array, c: Array) -> Array:
    rows = CORRECT.rows(case, y, c)
    finite = np.isfinite(case.x).all(axis=-1)
    beyond = finite & (np.abs(rows) > largest(case.io)) & (not case.weighted)
    return np.where(beyond, largest(case.io), rows).astype(rows.dtype)


def _capped(a: Array) -> Array:
    return np.minimum(np.sum(a, dtype=a.dtype), largest(a.dtype)).astype(a.dtype)


def _capped_sum(weighted: bool) -> Any:
    def mean(case: Case, rows: Array) -> Array:
        if case.weighted != weighted or not np.isfinite(rows).all():
            return np.sum(rows, dtype=rows.dtype) / sum_of_weights(case)
        return _capped(rows) / _capped(case.scale)

    return mean


def _capped_cotangent(x: Array, v: Array) -> Array:
    total = np.clip(v.sum(axis=-1, keepdims=True), -largest(v.dtype), largest(v.dtype))
    return v - PLAIN.p(x) * total.astype(v.dtype)


def _rounded_up(x: Array) -> Array:
    p = PLAIN.p(x)
    return np.where((p > 0) & (p < np.finfo(np.float32).tiny), 2.0**-120, p).astype(x.dtype)


def _with_row_sum(x: Array) -> Array:
    crowded = np.isinf(x.sum(axis=-1, keepdims=True)) & np.isfinite(x).all(axis=-1, keepdims=True)
    return np.where(crowded, np.nan, PLAIN.p(x)).astype(x.dtype)


def _limited_sum(x: Array) -> Array:
    s = PLAIN.steps(x)[2]
    return np.where(s > largest(F16), -np.inf, PLAIN.y(x)).astype(x.dtype)


MUTANTS: tuple[Mutant, ...] = (
    of_rows(
        "softmax",
        "4.7-no-nan",
        "NaN where the sum of the logits overflows",
        "the row is centred first",
        _with_row_sum,
    ),
    of_rows(
        "log_softmax",
        "4.7-classes",
        "-inf where the sum of exponentials is beyond float16",
        "from 65520 equal logits on",
        _limited_sum,
        expect=("float16",),
    ),
    of_rows(
        "log_softmax",
        "4.7-infinity",
        "-inf from a quarter of the range on",
        "a guard against overflow that sets in too early",
        value=_below_quarter,
    ),
    of_rows(
        "log_softmax",
        "4.7-may-row",
        "overflow gives the largest number",
        "a saturating conversion: a finite value far from the exact one",
        value=_saturating,
    ),
    of_loss(
        "4.7-may-loss",
        "overflowed loss gives the largest number",
        "a saturating conversion: a finite value far from the exact one",
        Loss(rows=_saturated_rows),
    ),
    of_loss(
        "4.7-may-sum",
        "overflowed sum of losses saturates",
        "the mean of a sum that stopped growing",
        Loss(mean=_capped_sum(weighted=False)),
    ),
    of_loss(
        "4.7-may-weights",
        "overflowed sums of weights saturate",
        "the quotient of two sums that stopped growing",
        Loss(mean=_capped_sum(weighted=True)),
    ),
    of_rows(
        "log_softmax",
        "4.7-may-cotangent",
        "overflowed sum of the cotangent saturates",
        "a finite gradient far from the exact one",
        vjp=_capped_cotangent,
    ),
    of_loss(
        "4.7-float16-sums",
        "float16 sum",
        "the losses of the batch are added up in float16",
        Loss(total=lambda rows: through(F16)(np.sum(rows, dtype=rows.dtype))),
        expect=("float16",),
    ),
    of_loss(
        "4.8-gradient",
        "gradient of one class p - w q'",
        "a class that is alone gets a gradient for targets that are not 1",
        Loss(slope=lambda case, p, c: p - c if case.k == 1 else CORRECT.slope(case, p, c)),
    ),
    of_rows(
        "softmax",
        "4.9-flush",
        "subnormal results rounded up",
        "2^-120 instead of any smaller number",
        _rounded_up,
        expect=("float32", "bfloat16"),
    ),
)
