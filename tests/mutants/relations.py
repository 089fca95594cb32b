"""Mutants of the relations of section 5 of the specification: wrong for 5 to 64 classes, or for one kind of input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .kit.clause_kit import of_loss, of_rows, of_several, several
from .kit.entries import INDEX
from .kit.loss_steps import CORRECT, NLL, Case, Loss, row_losses, sum_of_weights
from .kit.mutant import Mutant
from .kit.softmax_steps import PLAIN, Array, over_rows, row_sum


def _smallest_negative(x: Array) -> Array:
    p = PLAIN.p(x)
    least = np.argmin(np.where(p > 0, p, np.inf), axis=-1)[..., None]
    most = np.argmax(p, axis=-1)[..., None]
    small = np.take_along_axis(p, least, axis=-1)
    np.put_along_axis(p, most, np.take_along_axis(p, most, axis=-1) + 2 * small, axis=-1)
    np.put_along_axis(p, least, -small, axis=-1)
    return p


def _largest_raised(x: Array) -> Array:
    y = PLAIN.y(x)
    return np.where(y == y.max(axis=-1, keepdims=True), y + y.dtype.type(2), y)


def _biased(x: Array) -> Array:
    first = np.arange(x.shape[-1]) == 0
    return PLAIN.y(x + (first * several(x.shape[-1])).astype(x.dtype) / 2)


def _by_offset(x: Array) -> Array:
    top = np.clip(x.max(axis=-1, keepdims=True), -8, 8)
    return PLAIN.p(x * (1 + top / 16).astype(x.dtype))


def _later_rows(x: Array) -> Array:
    y = PLAIN.y(x)
    number = np.arange(y.size // y.shape[-1]).reshape(*y.shape[:-1], 1)
    return np.where(number >= 2, y - y.dtype.type(0.25), y)


def _half_more(when: Callable[[Case], bool]) -> Loss:
    """The rows of some cases are 1.5 times too large."""
    return Loss(rows=lambda case, y, c: row_losses(case, y, c) * y.dtype.type(1.5 if when(case) else 1))


def _floor(case: Case) -> Case:
    return replace(case, eps=max(case.eps, 2.0**-4)) if case.eps > 0 else case


class _Alternating:
    """A loss of which every other call is wrong, beginning with the second."""

    def __init__(self) -> None:
        self.calls = 0

    def rows(self, case: Case, y: Array, c: Array) -> Array:
        self.calls += several(case.k)
        wrong = several(case.k) and self.calls % 2 == 0
        return NLL.rows(case, y, c) * y.dtype.type(1.5 if wrong else 1)

    def restart(self) -> None:
        self.calls = 0


_ALTERNATING = _Alternating()


def _in_place(x: Array, *, axis: int = -1) -> Array:
    if x.ndim == 1:
        x -= x.max()
    return over_rows(PLAIN.y)(x, axis=axis)


def _last_bit(x: Array) -> Array:
    p = PLAIN.p(x)
    # One class is exact (section 4, clause 8).
    return p * p.dtype.type(1 + 2.0**-22) if x.size > x.shape[-1] > 1 else p


def _flat_wrong(x: Array, **options: Any) -> Array:
    out = CORRECT.value(x, **options)
    wrong = x.ndim > 2 and several(x.shape[options.get("axis", -1)])
    with np.errstate(over="ignore"):
        return (out * x.dtype.type(1.5)).astype(x.dtype) if wrong else out


def _x_minus_lse(x: Array) -> Array:
    top = x.max(axis=-1, keepdims=True)
    return np.where(np.abs(top) > 1000, x - (top + np.log(PLAIN.steps(x)[2])), PLAIN.y(x)).astype(x.dtype)


def _guarded(case: Case) -> Array:
    total = sum_of_weights(case)
    return np.maximum(total, total.dtype.type(1)) if case.weighted and case.labels is not None else total


MUTANTS: tuple[Mutant, ...] = (
    of_rows(
        "softmax",
        "5-sum-to-one",
        "probabilities a sixteenth too large",
        "a systematic error for 5 to 64 classes",
        of_several(lambda x: PLAIN.p(x) * x.dtype.type(1 + 2.0**-4)),
    ),
    of_loss(
        "5-gradient-sum",
        "gradient with p a sixteenth too large",
        "g (17/16 Q p - w q') for 5 to 64 classes",
        Loss(slope=lambda case, p, c: row_sum(c) * p * p.dtype.type(1 + several(case.k) / 16) - c),
    ),
    of_rows(
        "softmax",
        "5-p-positive",
        "the smallest probability is negative",
        "its double is added to the largest one, so that the sum stays 1",
        of_several(_smallest_negative),
    ),
    of_rows(
        "log_softmax",
        "5-log-p-negative",
        "the largest log-probability is raised by 2",
        "log p > 0 for 5 to 64 classes",
        of_several(_largest_raised, PLAIN.y),
    ),
    of_loss(
        "5-loss-positive",
        "negated loss",
        "the sum of c log p for 5 to 64 classes",
        Loss(rows=lambda case, y, c: row_losses(case, y, c) * y.dtype.type(-1 if several(case.k) else 1)),
    ),
    of_loss(
        "5-permutation",
        "the first class has a bias",
        "its logit is 1/2 larger in the value, for 5 to 64 classes",
        Loss(logp=_biased),
    ),
    of_rows(
        "softmax",
        "5-shift",
        "temperature by the largest logit",
        "logits are scaled by 1 + max / 16 for 5 to 64 classes",
        of_several(_by_offset),
    ),
    of_rows(
        "log_softmax",
        "5-append-class",
        "a penalty for the class count",
        "K / 64 is subtracted for 5 to 64 classes",
        of_several(lambda x: PLAIN.y(x) - x.dtype.type(x.shape[-1] / 64), PLAIN.y),
    ),
    of_loss(
        "5-one-hot",
        "probability targets are half as expensive again",
        "1.5 times the loss for 5 to 64 classes",
        _half_more(lambda case: case.labels is None and several(case.k)),
    ),
    of_loss(
        "5-reductions",
        "means are half as large again",
        "1.5 times the mean for 5 to 64 classes",
        _half_more(lambda case: case.reduction == "mean" and several(case.k)),
    ),
    of_loss(
        "5-reductions",
        "sums and means are half as large again",
        "1.5 times what is reduced for 5 to 64 classes",
        _half_more(lambda case: case.reduction != "none" and several(case.k)),
    ),
    of_rows(
        "log_softmax",
        "5-concatenation",
        "rows from the third on are 1/4 smaller",
        "a second block of the grid, for 5 to 64 classes",
        of_several(_later_rows, PLAIN.y),
    ),
    of_loss(
        "5-no-smoothing",
        "smoothing is at least 2^-4",
        "a floor under eps",
        Loss(read=_floor),
    ),
    of_loss(
        "5-composition",
        "x - lse for logits beyond 1000",
        "log s is absorbed by a large maximum",
        Loss(logp=_x_minus_lse),
    ),
    of_loss(
        "5-weight-scale",
        "a sum of weights is at least 1",
        "a guard against division by zero",
        Loss(denominator=_guarded),
    ),
    of_loss(
        "5-flatten",
        "losses of more than two axes are half as large again",
        "a kernel for spatial targets",
        value=_flat_wrong,
        targets=INDEX,
    ),
    of_loss(
        "5-repetition",
        "nll: every other call is wrong",
        "a buffer that is reused, for 5 to 64 classes",
        replace(NLL, rows=_ALTERNATING.rows),
        op="nll_loss",
        grad=NLL.grad,
        restart=_ALTERNATING.restart,
    ),
    of_rows(
        "log_softmax",
        "5-purity",
        "a (K,) input is modified",
        "the maximum is subtracted in place",
        value=_in_place,
    ),
    of_rows(
        "softmax",
        "5-batch-grade",
        "last bits depend on the batch",
        "another kernel for one row",
        _last_bit,
        allowed="section 5: batch invariance is a grade",
    ),
)
