"""Mutants of SPEC section 4, clauses 4 to 6, one each: +inf, infinite losses, 0 times infinity."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .bugs import INDEX
from .clause_kit import (
    CORRECT,
    DENSE,
    at_label,
    infinities,
    largest,
    masked,
    of_loss,
    of_rows,
    where_rows,
    where_slope,
)
from .later import Later, target_rows
from .loss import NLL, Case, Loss
from .mutant import Mutant
from .parts import PLAIN, Array

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


def _saturated_nll(case: Case, y: Array, c: Array) -> Array:
    rows = NLL.rows(case, y, c)
    return np.where(np.isposinf(rows), 6e4, rows).astype(y.dtype)


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


def _target_infinite(case: Case, g: Array, y: Array) -> Array:
    return np.where(np.isneginf(y), np.sign(g) * np.inf, target_rows(case, g, y)).astype(y.dtype)


MUTANTS: tuple[Mutant, ...] = (
    of_rows(
        "softmax",
        "4.4-one",
        "one +inf gets 1/2",
        "a finite value that is not the limit",
        lambda x: np.where((infinities(x) == 1)[..., None], np.isposinf(x) / 2, PLAIN.p(x)).astype(x.dtype),
    ),
    of_rows(
        "softmax",
        "4.4-two-elsewhere",
        "1/4 beside two +inf",
        "the other classes keep mass",
        lambda x: np.where((infinities(x) > 1)[..., None] & ~np.isposinf(x), 0.25, PLAIN.p(x)).astype(x.dtype),
    ),
    of_loss(
        "4.4-loss",
        "loss of a label beside +inf saturates",
        "60 000 instead of +inf",
        where_rows(_one_infinity(at=False), 6e4),
    ),
    of_loss(
        "4.4-gradient",
        "no gradient beside +inf",
        "rows with +inf are skipped in the backward pass",
        where_slope(lambda case, p, c: (infinities(case.x) > 0)[..., None], 0.0),
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
        "4.5-positive",
        "nll: infinite losses are 60 000",
        "a saturating conversion",
        replace(NLL, rows=_saturated_nll),
        op="nll_loss",
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
        "4.5-gradient",
        "gradient NaN at a masked label",
        "the gradient goes through the infinite loss",
        where_slope(lambda case, p, c: masked(case.x) & (c != 0), np.nan),
        takes=frozenset({"axis", "reduction", "ignore_index"}),
        targets=INDEX,
    ),
    of_loss(
        "4.5-reduced",
        "infinite losses skipped by sum and mean",
        "only finite rows are added up",
        Loss(total=lambda rows: np.sum(np.where(np.isinf(rows), 0, rows), dtype=rows.dtype)),
    ),
    of_loss(
        "4.5-dq-weightless",
        "target gradient infinite whatever the weight",
        "the weight is not looked at where log p = -inf",
        derivatives=Later(target_rows=_target_infinite).functions(),
        targets=DENSE,
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
    of_loss(
        "4.6-gradient",
        "gradient NaN at masked classes of probability 0",
        "0 times -inf in the backward pass of probability targets",
        where_slope(lambda case, p, c: masked(case.x) & (case.q == 0) & (case.labels is None), np.nan),
        targets=DENSE,
    ),
)
