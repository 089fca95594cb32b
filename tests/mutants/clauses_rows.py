"""Mutants of SPEC section 4, clauses 10 and 11, one each: empty and ignored rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from .bugs import INDEX
from .clause_kit import CORRECT, masked, of_loss
from .loss import Case, Loss, sum_of_weights, zero_ignored
from .mutant import Mutant
from .parts import PLAIN, Array


def _empty(reduction: str, answer: Array) -> Any:
    """Another answer to a batch without rows."""

    def value(x: Array, **options: Any) -> Array:
        out = CORRECT.value(x, **options)
        empty = x.size == 0 and x.shape[options.get("axis", -1)] > 0
        return answer.astype(x.dtype) if empty and options["reduction"] == reduction else out

    return value


def _no_class(x: Array, **options: Any) -> Array:
    if x.shape[options.get("axis", -1)] == 0:
        return np.zeros(options["target"].shape if options["reduction"] == "none" else (), x.dtype)
    return CORRECT.value(x, **options)


def _nothing_kept(case: Case) -> bool:
    return bool(case.kept.size) and not case.kept.any()


def _infinite_mean(case: Case, rows: Array) -> Array:
    mean = np.sum(rows, dtype=rows.dtype) / sum_of_weights(case)
    return np.asarray(np.inf if _nothing_kept(case) else mean, rows.dtype)


def _infinite_gradient(case: Case, z: Array) -> Array:
    return np.full_like(z, np.inf) if case.reduction == "mean" and _nothing_kept(case) else zero_ignored(case, z)


def _balanced(case: Case) -> bool:
    """Rows that are kept, whose weights are all 0."""
    return case.labels is not None and bool(case.kept.any()) and not np.abs(case.scale).any()


def _unweighted_mean(case: Case, rows: Array) -> Array:
    if not _balanced(case):
        return np.sum(rows, dtype=rows.dtype) / sum_of_weights(case)
    plain = -np.take_along_axis(PLAIN.y(case.x), case.safe[..., None], axis=-1)[..., 0]
    return np.mean(plain[case.kept], dtype=rows.dtype)


def _unweighted_gradient(case: Case, z: Array) -> Array:
    if case.reduction != "mean" or not _balanced(case):
        return zero_ignored(case, z)
    return zero_ignored(case, (PLAIN.p(case.x) - case.q) / case.kept.sum())


def _multiplied(reduction: str) -> Loss:
    """Ignored rows are multiplied by 0 under one reduction."""
    return Loss(mask=lambda case, rows: rows * case.kept if case.reduction == reduction else zero_ignored(case, rows))


def _garbage(case: Case) -> Array:
    return np.isnan(PLAIN.p(case.x)).any(axis=-1)


def _uniform_garbage(case: Case, z: Array) -> Array:
    wrong = ~case.kept & _garbage(case)
    return np.where(wrong[..., None], 1 / case.k, zero_ignored(case, z)).astype(z.dtype)


def _masked_nan(case: Case, z: Array) -> Array:
    wrong = ~case.kept & masked(case.x).any(axis=-1)
    return np.where(wrong[..., None], np.nan, zero_ignored(case, z)).astype(z.dtype)


MUTANTS: tuple[Mutant, ...] = (
    of_loss(
        "4.10-empty-none",
        "one loss for an empty batch",
        "a batch has at least one row, it is assumed",
        value=_empty("none", np.zeros(1)),
    ),
    of_loss(
        "4.10-empty-sum",
        "NaN for the sum of an empty batch",
        "the sum is the mean times the count",
        value=_empty("sum", np.array(np.nan)),
    ),
    of_loss(
        "4.10-empty-mean",
        "0 for the mean of an empty batch",
        "a guard against division by zero",
        value=_empty("mean", np.array(0.0)),
    ),
    of_loss(
        "4.10-ignored-mean",
        "+inf for the mean over no row",
        "a fill value",
        Loss(mean=_infinite_mean),
        targets=INDEX,
    ),
    of_loss(
        "4.10-ignored-gradient",
        "gradient +inf where every row is ignored",
        "the cotangent over a denominator of 0",
        Loss(mask_slope=_infinite_gradient),
        targets=INDEX,
    ),
    of_loss(
        "4.10-weightless-loss",
        "unweighted mean where all weights are 0",
        "a fall-back that nobody asked for",
        Loss(mean=_unweighted_mean),
        targets=INDEX,
    ),
    of_loss(
        "4.10-weightless-gradient",
        "unweighted gradient where all weights are 0",
        "a fall-back that nobody asked for",
        Loss(mask_slope=_unweighted_gradient),
        targets=INDEX,
    ),
    of_loss("4.10-no-classes", "loss 0 without classes", "K = 0 is answered with 0", value=_no_class),
    of_loss(
        "4.11-none", "ignored rows multiplied by 0: none", "0 times NaN is NaN", _multiplied("none"), targets=INDEX
    ),
    of_loss("4.11-sum", "ignored rows multiplied by 0: sum", "0 times NaN is NaN", _multiplied("sum"), targets=INDEX),
    of_loss(
        "4.11-mean", "ignored rows multiplied by 0: mean", "0 times NaN is NaN", _multiplied("mean"), targets=INDEX
    ),
    of_loss(
        "4.11-gradient",
        "uniform gradient of ignored rows without probabilities",
        "1/K where p is NaN",
        Loss(mask_slope=_uniform_garbage),
        targets=INDEX,
    ),
    of_loss(
        "4.11-masked",
        "gradient NaN of ignored rows with a masked class",
        "0 times -inf",
        Loss(mask_slope=_masked_nan),
        targets=INDEX,
    ),
)
