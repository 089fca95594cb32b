"""Mutants of cross_entropy at NaN, infinite and masked logits."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.mutants.kit.clause_kit import at_label, infinities, largest, masked, of_loss, where_rows
from tests.mutants.kit.entries import DENSE, INDEX, loss_bug
from tests.mutants.kit.loss_steps import CORRECT, Case, Loss
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.softmax_steps import PLAIN, Array


def _times_onehot(case: Case, y: Array, c: Array) -> Array:
    return -np.sum(c * y, axis=-1, dtype=y.dtype)


def _nan_as_masked(x: Array) -> Array:
    return np.where(np.isnan(x), np.nan, PLAIN.y(np.where(np.isnan(x), -np.inf, x))).astype(x.dtype)


def _used_only(case: Case, y: Array, c: Array) -> Array:
    return -np.sum(np.where(c == 0, 0, c * y), axis=-1, dtype=y.dtype)


LN2 = float(np.log(2))


def _one_infinity(at: bool) -> Any:
    def condition(case: Case, y: Array, c: Array) -> Array:
        if case.labels is None:
            return np.zeros(case.kept.shape, dtype=bool)
        return (infinities(case.x) == 1) & (np.isposinf(at_label(case, case.x)) == at) & case.kept

    return condition


def _two_infinities(case: Case, y: Array, c: Array) -> Array:
    if case.labels is None:
        return np.zeros(case.kept.shape, dtype=bool)
    return (infinities(case.x) > 1) & np.isposinf(at_label(case, case.x)) & case.kept


def _signless(case: Case, y: Array, c: Array) -> Array:
    rows = CORRECT.rows(case, y, c)
    return np.where(np.isinf(rows) & (case.reduction == "none"), np.inf, rows)


def _opposed(case: Case, y: Array, c: Array) -> Array:
    return np.isnan(CORRECT.rows(case, y, c)) & masked(case.x).any(axis=-1)


def _vanishing_masked(case: Case, y: Array, c: Array) -> Array:
    unreduced = case.labels is not None and case.reduction == "none"
    return ((c == 0) & masked(case.x)).any(axis=-1) & unreduced


def _vanishing_overflow(case: Case, y: Array, c: Array) -> Array:
    beyond = (y < -largest(case.io)) & np.isfinite(case.x)
    return ((c == 0) & beyond).any(axis=-1) & (case.labels is not None)


def _vanishing_dense(case: Case, y: Array, c: Array) -> Array:
    return (masked(case.x) & (case.q == 0)).any(axis=-1) & (case.labels is None and case.eps == 0)


def _weightless(case: Case, y: Array, c: Array) -> Array:
    return (masked(case.x) & (case.w == 0) & (case.q != 0)).any(axis=-1) & (case.labels is not None)


MUTANTS: tuple[Mutant, ...] = (
    loss_bug(
        "one-hot times log-probabilities",
        "0 * -inf is NaN for a masked class that is not the target",
        "tf-xla-sparse-xent-neginf-nan (tensorflow/tensorflow#40606), tinygrad-sce-neginf-nan-and-oob-zero",
        Loss(rows=_times_onehot),
        targets=INDEX,
        family="masked",
    ),
    of_loss(
        "4.1-loss",
        "NaN of other classes does not reach the loss",
        "NaN is taken for a masked class unless it is the label's",
        Loss(logp=_nan_as_masked, rows=_used_only),
    ),
    of_loss(
        "4.1-reduced",
        "NaN losses skipped by sum and mean",
        "nansum over the rows",
        Loss(total=np.nansum),
    ),
    of_loss(
        "4.3-loss",
        "loss +inf for a row without a class",
        "log 0 for the label",
        where_rows(lambda case, y, c: np.asarray(np.isneginf(case.x).all(axis=-1)), np.inf),
    ),
    of_loss(
        "4.4-loss",
        "loss of a label beside +inf saturates",
        "60 000 instead of +inf",
        where_rows(_one_infinity(at=False), 6e4),
    ),
    of_loss(
        "4.4-two-loss",
        "log 2 for a label among two +inf",
        "they share the mass",
        where_rows(_two_infinities, LN2),
    ),
    of_loss(
        "4.4-finite",
        "log 2 for a label at +inf",
        "the label shares its mass with the others",
        where_rows(_one_infinity(at=True), LN2),
    ),
    of_loss(
        "4.5-negative",
        "infinite losses lose their sign without reduction",
        "+inf also for a negative weight",
        Loss(rows=_signless),
    ),
    of_loss(
        "4.5-mixed",
        "opposite infinities give +inf",
        "the larger one is taken",
        where_rows(_opposed, np.inf),
    ),
    of_loss(
        "4.5-reduced",
        "infinite losses skipped by sum and mean",
        "only finite rows are added up",
        Loss(total=lambda rows: np.sum(np.where(np.isinf(rows), 0, rows), dtype=rows.dtype)),
    ),
    of_loss(
        "4.6-index",
        "0 times -inf without reduction",
        "NaN for a masked class beside the label",
        where_rows(_vanishing_masked, np.nan),
    ),
    of_loss(
        "4.6-overflow",
        "0 times an overflowed log-probability",
        "NaN for a class beside the label whose log p overflows",
        where_rows(_vanishing_overflow, np.nan),
    ),
    of_loss(
        "4.6-dense",
        "masked class of probability 0 makes the loss +inf",
        "any masked class does",
        where_rows(_vanishing_dense, np.inf),
        targets=DENSE,
    ),
    of_loss(
        "4.6-weightless",
        "masked label of weight 0 makes the loss +inf",
        "the weight comes after the reduction",
        where_rows(_weightless, np.inf),
        targets=INDEX,
    ),
)
