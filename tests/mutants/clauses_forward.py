"""Mutants of the clauses of SPEC section 2, one each: operations, targets, reductions, ignore_index."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .bugs import INDEX
from .clause_kit import CORRECT, DENSE, of_loss, of_rows
from .loss import Case, Loss, mixed, relabelled, sum_of_weights
from .losses import counted
from .mutant import Mutant
from .parts import Array, Softmax

BASE_2 = Softmax(exp=np.exp2)


def _hardened(case: Case) -> Array:
    if case.labels is not None:
        return mixed(case)
    hard = (np.arange(case.k) == case.q.argmax(axis=-1)[..., None]).astype(case.x.dtype)
    whole = case.q.sum(axis=-1, keepdims=True) == 1
    return mixed(replace(case, q=np.where(whole, hard, case.q)))


def _renormalised(case: Case) -> Case:
    if case.labels is not None:
        return case
    total = case.q.sum(axis=-1, keepdims=True)
    return replace(case, q=(case.q / np.where(total == 0, 1, total)).astype(case.x.dtype))


def _flat(x: Array, **options: Any) -> Array:
    out = CORRECT.value(x, **options)
    return out.reshape(-1) if out.ndim > 1 else out


def _likeliest_weights(case: Case) -> Array:
    return sum_of_weights(case) if case.labels is not None else np.sum(case.w[case.q.argmax(axis=-1)])


def _classes_for_rows(case: Case) -> Array:
    return counted(case, case.k) if case.x.ndim == 1 else sum_of_weights(case)


def _first_class_for_ignored(case: Case) -> Case:
    return case if case.labels is None else relabelled(case, case.safe)


def _finite_kept(case: Case, rows: Array) -> Array:
    kept = case.kept | ((case.reduction == "sum") & np.isfinite(rows))
    return np.where(kept, rows, 0).astype(rows.dtype)


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
    of_rows("log_softmax", "2-log_softmax", "base 2 exponent", "2^d instead of e^d, right for equal logits", BASE_2.y),
    of_loss(
        "2-cross_entropy",
        "base 2 exponent in the value",
        "2^d instead of e^d, right for equal logits",
        Loss(logp=BASE_2.y),
    ),
    of_loss(
        "2-cross_entropy-probability",
        "likeliest class of probability targets",
        "targets that sum to 1 are taken for their likeliest class, in the value",
        Loss(mix=_hardened),
        grad=CORRECT.grad,
        targets=DENSE,
    ),
    of_loss(
        "2-not-renormalised",
        "targets renormalised in the value",
        "q / sum q, only in the forward pass",
        Loss(read=_renormalised),
        grad=CORRECT.grad,
        targets=DENSE,
    ),
    of_loss("2-none", "losses of several axes flattened", "reduction none returns one axis", value=_flat),
    of_loss(
        "2-mean-probability",
        "dense mean over the weights of likeliest classes",
        "probability targets are given the denominator of labels",
        Loss(denominator=_likeliest_weights),
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
        "declared mean over rows divides by the weights",
        "the reduction that is declared is not the one that is implemented",
        targets=INDEX,
        mean="mean_over_rows",
    ),
    of_loss(
        "2-mean_over_kept",
        "declared mean over kept rows divides by all rows",
        "the reduction that is declared is not the one that is implemented",
        Loss(denominator=all_rows),
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
