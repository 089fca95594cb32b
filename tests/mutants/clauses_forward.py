"""Mutants of the clauses of SPEC section 2, one each: operations, targets, reductions, ignore_index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .bugs import INDEX
from .clause_kit import CORRECT, DENSE, FEW, of_loss, of_rows, of_two
from .loss import Case, Loss, mixed, relabelled, row_losses, sum_of_weights
from .losses import counted
from .mutant import Mutant
from .parts import PLAIN, Array, Softmax

BASE_2 = Softmax(exp=np.exp2)


def _hardened(case: Case) -> Array:
    if case.labels is not None or case.k > 2:
        return mixed(case)
    hard = (np.arange(case.k) == case.q.argmax(axis=-1)[..., None]).astype(case.x.dtype)
    whole = case.q.sum(axis=-1, keepdims=True) == 1
    return mixed(replace(case, q=np.where(whole, hard, case.q)))


def _renormalised(case: Case) -> Case:
    if case.labels is not None:
        return case
    total = case.q.sum(axis=-1, keepdims=True)
    return replace(case, q=(case.q / np.where(total == 0, 1, total)).astype(case.x.dtype))


def _at_most_1(case: Case) -> Case:
    if case.labels is not None:
        return case
    total = case.q.sum(axis=-1, keepdims=True)
    return replace(case, q=(case.q / np.maximum(total, 1)).astype(case.x.dtype))


def _label_weight_for_all(case: Case, y: Array, c: Array) -> Array:
    if case.labels is None or case.k > 2 or case.reduction != "none" or case.eps == 0:
        return row_losses(case, y, c)
    return row_losses(case, y, case.w[case.safe][..., None] * mixed(case))


def _unsmoothed_dense(case: Case) -> Array:
    return mixed(case) if case.labels is not None else case.q


def _mean_for_sum(x: Array, **options: Any) -> Array:
    plain = options["reduction"] == "sum" and options["ignore_index"] is None and x.shape[options["axis"]] <= FEW
    out = CORRECT.value(x, **options)
    rows = max(x.size // max(x.shape[options["axis"]], 1), 1)
    return (out / x.dtype.type(rows)).astype(x.dtype) if plain else out


def _shards(case: Case, rows: Array) -> Array:
    apart = case.ignore_index is None and case.k <= FEW and rows.size % 2 == 0
    pieces = 2 if apart and case.labels is not None and rows.size else 1
    parts = zip(np.split(rows.reshape(-1), pieces), np.split(case.scale.reshape(-1), pieces), strict=True)
    return np.mean([np.sum(r, dtype=r.dtype) / np.sum(w, dtype=w.dtype) for r, w in parts], dtype=rows.dtype)


def _flat(x: Array, **options: Any) -> Array:
    out = CORRECT.value(x, **options)
    return out.reshape(-1) if out.ndim > 1 else out


def _one_row_less(case: Case) -> Array:
    return sum_of_weights(case) if case.labels is not None else counted(case, max(case.kept.size - 1, 1))


def _classes_for_rows(case: Case) -> Array:
    return counted(case, case.k) if case.x.ndim == 1 else sum_of_weights(case)


def _first_class_for_ignored(case: Case) -> Case:
    return case if case.labels is None else relabelled(case, case.safe)


def _finite_kept(case: Case, rows: Array) -> Array:
    kept = case.kept | ((case.reduction == "sum") & np.isfinite(rows))
    return np.where(kept, rows, 0).astype(rows.dtype)


def _rows_unless_weighted(wrong: Callable[[Case], Array], right: Callable[[Case], Array]) -> Callable[[Case], Array]:
    """Another denominator where rows are ignored and weighted."""
    return lambda case: (wrong if case.weighted and not case.kept.all() else right)(case)


def all_rows(case: Case) -> Array:
    """The number of rows."""
    return counted(case, case.kept.size)


def kept_rows(case: Case) -> Array:
    """The number of rows that are not ignored."""
    return counted(case, int(case.kept.sum()))


def only_whole(case: Case) -> Case:
    """Probability targets that do not sum to 1 are refused."""
    if case.labels is None and (case.q.sum(axis=-1) != 1).any():
        raise ValueError("targets must sum to 1")
    return CORRECT.guard(case)


MUTANTS: tuple[Mutant, ...] = (
    of_rows("softmax", "2-softmax", "base 2 exponent for two classes", "2^d instead of e^d", of_two(BASE_2.p)),
    of_rows(
        "log_softmax",
        "2-log_softmax",
        "base 2 exponent for two classes",
        "2^d instead of e^d",
        of_two(BASE_2.y, PLAIN.y),
    ),
    of_loss(
        "2-cross_entropy",
        "base 2 exponent for two classes",
        "2^d instead of e^d in the value",
        Loss(logp=of_two(BASE_2.y, PLAIN.y)),
    ),
    of_loss(
        "2-cross_entropy-smoothed",
        "label's weight for the uniform part of two classes",
        "w_y eps/K sum(-log p) without reduction",
        Loss(rows=_label_weight_for_all),
    ),
    of_loss(
        "2-smoothed-targets",
        "no smoothing of probability targets in the value",
        "the branch for soft labels does not read the option",
        Loss(mix=_unsmoothed_dense),
        grad=CORRECT.grad,
    ),
    of_loss(
        "2-cross_entropy-probability",
        "likeliest of two classes",
        "probabilities of two classes that sum to 1 are taken for their likeliest class, in the value",
        Loss(mix=_hardened),
        grad=CORRECT.grad,
        targets=DENSE,
    ),
    of_loss(
        "2-not-renormalised",
        "mass above 1 renormalised in the value",
        "q / max(sum q, 1), only in the forward pass",
        Loss(read=_at_most_1),
        grad=CORRECT.grad,
        targets=DENSE,
    ),
    of_loss("2-none", "losses of several axes flattened", "reduction none returns one axis", value=_flat),
    of_loss(
        "2-sum",
        "sum over few classes is the mean",
        "divided by the rows where nothing is ignored",
        value=_mean_for_sum,
    ),
    of_loss(
        "2-mean-index",
        "mean of the means of two halves",
        "halves with different weights get the same say",
        Loss(mean=_shards),
    ),
    of_loss(
        "2-mean-probability",
        "dense mean over N - 1",
        "Bessel's correction",
        Loss(denominator=_one_row_less),
        grad=CORRECT.grad,
        targets=DENSE,
    ),
    of_loss(
        "2-one-row",
        "a (K,) input counts as K rows",
        "the first axis is taken for the batch",
        Loss(denominator=_classes_for_rows),
    ),
    of_loss(
        "2-ignored-numerator",
        "ignored rows of finite loss in the sum",
        "ignored rows are dropped by nan_to_num, not by their label",
        Loss(read=_first_class_for_ignored, mask=_finite_kept),
        grad=CORRECT.grad,
        targets=INDEX,
    ),
    of_loss(
        "2-mean_over_rows",
        "declared mean over rows leaves out ignored rows",
        "where there are weights, the reduction that is declared is not the one that is implemented",
        Loss(denominator=_rows_unless_weighted(kept_rows, all_rows)),
        targets=INDEX,
        mean="mean_over_rows",
    ),
    of_loss(
        "2-mean_over_kept",
        "declared mean over kept rows divides by all rows",
        "where there are weights, the reduction that is declared is not the one that is implemented",
        Loss(denominator=_rows_unless_weighted(all_rows, kept_rows)),
        targets=INDEX,
        mean="mean_over_kept",
    ),
    of_loss(
        "2-normalised-targets",
        "undeclared need of targets that sum to 1",
        "other targets are an error, which is not declared",
        Loss(guard=only_whole),
        targets=DENSE,
    ),
)
