"""Mutants of SPEC section 4, clauses 1 to 3, one each: conventions, NaN, masked classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .clause_kit import (
    CORRECT,
    infinities,
    masked,
    of_loss,
    of_rows,
    where_rows,
    where_slope,
)
from .loss import NLL, Case, Loss
from .mutant import ONE_OF_EACH, Mutant
from .parts import F16, PLAIN, Array, over_rows


def _limit(x: Array) -> Array:
    one = (infinities(x) == 1)[..., None]
    return np.where(one, np.isposinf(x), PLAIN.p(x)).astype(x.dtype)


def _limit_in_float16(x: Array, *, axis: int = -1) -> Array:
    return over_rows(_limit if x.dtype == F16 else PLAIN.p)(x, axis=axis)


def _infinity_first(x: Array) -> Array:
    top = np.isposinf(x)
    both = (top.sum(-1) == 1) & np.isnan(x).any(-1)
    return np.where(both[..., None], np.where(top, 0, -np.inf), PLAIN.y(x)).astype(x.dtype)


def _nan_as_masked(x: Array) -> Array:
    return np.where(np.isnan(x), np.nan, PLAIN.y(np.where(np.isnan(x), -np.inf, x))).astype(x.dtype)


def _used_only(case: Case, y: Array, c: Array) -> Array:
    return -np.sum(np.where(c == 0, 0, c * y), axis=-1, dtype=y.dtype)


def _first_masked_counts(x: Array) -> Array:
    _, e, s = PLAIN.steps(x)
    return e / (s + masked(x)[..., :1])


def _over_finite(case: Case) -> Array:
    finite = np.isfinite(case.x)
    share = finite / np.maximum(finite.sum(axis=-1, keepdims=True), 1)
    return ((1 - case.eps) * case.q + case.eps * share).astype(case.x.dtype)


def _plain_masked(case: Case, p: Array, c: Array) -> Array:
    """Masked classes beside the label, with neither weights nor smoothing."""
    plain = case.labels is not None and not case.weighted and case.eps == 0
    return masked(case.x) & (case.q == 0) & plain


MUTANTS: tuple[Mutant, ...] = (
    of_rows(
        "softmax",
        "4.0-mode",
        "limit at +inf",
        "one-hot where a logit is +inf; the parent gives NaN",
        _limit,
        allowed="section 4, clause 4",
    ),
    of_rows(
        "softmax",
        "4.0-dtype",
        "limit at +inf in float16 only",
        "one-hot in float16, NaN in the other formats",
        value=_limit_in_float16,
        expect=ONE_OF_EACH,
    ),
    of_rows(
        "log_softmax",
        "4.0-precedence",
        "+inf before NaN",
        "a row with +inf gives its limit although it holds NaN",
        _infinity_first,
    ),
    of_loss(
        "4.1-loss",
        "NaN of other classes does not reach the loss",
        "NaN is taken for a masked class unless it is the label's",
        Loss(logp=_nan_as_masked, rows=_used_only),
    ),
    of_loss(
        "4.1-gradient",
        "gradient 0 of NaN rows without reduction",
        "nan_to_num in the backward pass",
        where_slope(lambda case, p, c: np.isnan(case.x).any(-1, keepdims=True) & (case.reduction == "none"), 0.0),
    ),
    of_loss(
        "4.1-reduced",
        "NaN losses skipped by sum and mean",
        "nansum over the rows",
        Loss(total=np.nansum),
    ),
    of_loss(
        "4.1-nll-gradient",
        "nll: gradient NaN at a NaN",
        "the gradient goes through the loss",
        replace(NLL, slope=lambda case, p, c: np.where(np.isnan(p) & (c != 0), np.nan, -c)),
        op="nll_loss",
    ),
    of_rows(
        "softmax",
        "4.2-p",
        "masked classes keep 2^-24",
        "a floor under probabilities",
        lambda x: np.where(masked(x), 2.0**-24, PLAIN.p(x)).astype(x.dtype),
    ),
    of_rows(
        "log_softmax",
        "4.2-log-p",
        "log p of masked classes is -65504",
        "float16's most negative number as a mask",
        lambda x: np.where(masked(x), -65504, PLAIN.y(x)).astype(x.dtype),
    ),
    of_rows(
        "softmax",
        "4.2-absent",
        "a masked first class counts",
        "the sum starts at 1, as if the first class were the maximum",
        _first_masked_counts,
    ),
    of_loss(
        "4.2-unchanged-K",
        "uniform part over finite classes in the gradient",
        "masked classes get no share of eps",
        value=CORRECT.value,
        grad=Loss(mix=_over_finite).grad,
    ),
    of_loss(
        "4.2-gradient",
        "gradient NaN at masked classes beside the label",
        "0 times -inf in the backward pass of plain labels",
        where_slope(_plain_masked, np.nan),
    ),
    of_rows(
        "softmax",
        "4.3-one-class",
        "one class is certain",
        "K = 1 is answered without a look at the logit",
        lambda x: np.ones_like(x) if x.shape[-1] == 1 else PLAIN.p(x),
    ),
    of_loss(
        "4.3-loss",
        "loss +inf for a row without a class",
        "log 0 for the label",
        where_rows(lambda case, y, c: np.isneginf(case.x).all(axis=-1), np.inf),
    ),
)
