"""Cross-entropy and nll_loss for every option, step by step: the building blocks of the losses' mutants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from .sharing import shared
from .softmax_steps import PLAIN, Array, Step, last, row_sum, same, unlast, wide


@dataclass(frozen=True)
class Case:
    """The arguments of a loss, class axis last: ``q`` is one-hot for index targets, whose ``labels`` are as given."""

    x: Array
    labels: Array | None
    q: Array
    w: Array
    weighted: bool
    kept: Array
    eps: float
    reduction: str
    ignore_index: int | None
    io: np.dtype[Any]

    @property
    def k(self) -> int:
        return self.x.shape[-1]

    @property
    def safe(self) -> Array:
        """Labels with 0 in ignored rows."""
        # sanity check: only index targets have labels
        assert self.labels is not None
        return np.where(self.kept, self.labels, 0)

    @cached_property
    def has_unknown_label(self) -> bool:
        """Whether a row that is kept has a label that is no class."""
        if self.labels is None:
            return False
        return bool((self.kept & ((self.labels < 0) | (self.labels >= self.k))).any())

    @cached_property
    def scale(self) -> Array:
        """The weight of each row in the mean."""
        if self.labels is None:
            return np.ones(self.kept.shape, self.x.dtype)
        return np.where(self.kept, self.w[self.safe], 0).astype(self.x.dtype)


OfCase = Callable[[Case], Array]
OfRows = Callable[[Case, Array], Array]
OfClasses = Callable[[Case, Array, Array], Array]
# How the cotangent comes to a row, and what it is divided by, if it is divided.
Scale = tuple[OfRows, OfCase | None]


def relabelled(case: Case, labels: Array) -> Case:
    """The same case with other labels."""
    q = (np.arange(case.k) == labels[..., None]).astype(case.x.dtype)
    return replace(case, labels=labels, q=q)


def mixed(case: Case) -> Array:
    """``q' = (1 - eps) q + eps / K``."""
    return case.q if case.eps == 0 else ((1 - case.eps) * case.q + case.eps / case.k).astype(case.x.dtype)


def weighted_targets(case: Case, q: Array) -> Array:
    """``c = w q'``."""
    return case.w * q


def row_losses(case: Case, y: Array, c: Array) -> Array:
    """``-sum_j c_j log p_j``; a class with c = 0 contributes nothing, unless the row is undefined as a whole."""
    total = -np.add.reduce(np.where(c == 0, 0, c * y), axis=-1, dtype=y.dtype)
    return np.where(np.isnan(y).any(axis=-1), np.nan, total).astype(y.dtype)


def picked(case: Case, y: Array, c: Array) -> Array:
    """nll_loss: the other log-probabilities are not looked at; a NaN is NaN, whatever its weight (clause 1)."""
    unused = (case.q == 0) | ((c == 0) & ~np.isnan(y))
    return -np.sum(np.where(unused, 0, c * y), axis=-1, dtype=y.dtype)


def zero_ignored(case: Case, a: Array) -> Array:
    """Rows that are ignored are exactly 0, whatever they hold."""
    return np.where(case.kept.reshape(case.kept.shape + (1,) * (a.ndim - case.kept.ndim)), a, 0).astype(a.dtype)


def sum_of_weights(case: Case) -> Array:
    """``sum_n w_y`` over kept rows; the number of rows for probability targets."""
    return np.sum(case.scale, dtype=case.x.dtype)


def slope(case: Case, p: Array, c: Array) -> Array:
    """``Q p - c``."""
    return row_sum(c) * p - c


def known_labels(case: Case) -> Case:
    """A clean error for a label out of range (specification section 4, clause 13)."""
    if case.has_unknown_label:
        raise IndexError("label out of range")
    return case


@dataclass(frozen=True)
class Loss:
    """Cross-entropy, step by step. ``count`` is the denominator of the gradient, if not that of the value."""

    guard: Callable[[Case], Case] = known_labels
    read: Callable[[Case], Case] = same
    logp: Step = PLAIN.y
    prob: Step = PLAIN.p
    mix: Callable[[Case], Array] = mixed
    weigh: Callable[[Case, Array], Array] = weighted_targets
    rows: Callable[[Case, Array, Array], Array] = row_losses
    mask: Callable[[Case, Array], Array] = zero_ignored
    total: Step = np.sum
    denominator: Callable[[Case], Array] = sum_of_weights
    count: Callable[[Case], Array] | None = None
    mean: Callable[[Case, Array], Array] | None = None
    upstream: Callable[[Case, Array], Array] = lambda case, v: v
    slope: Callable[[Case, Array, Array], Array] = slope
    mask_slope: Callable[[Case, Array], Array] = zero_ignored
    leave: Step = same
    leave_grad: Step = same

    def value(
        self,
        x: Array,
        *,
        reduction: str = "mean",
        **options: Any,
    ) -> Array:
        """The loss."""
        with np.errstate(all="ignore"):
            case = self.case(x, reduction=reduction, **options)
            mean = self.mean if reduction == "mean" else None
            total = self.total if reduction != "none" and mean is None else None
            steps = self.mask, self.rows, self.logp, self.weigh, self.mix
            return _value(case, steps, mean, total, self.divisor(case) if total else None, self.leave)

    def divisor(self, case: Case) -> OfCase | None:
        """The denominator, if the reduction has one."""
        return self.denominator if case.reduction == "mean" else None

    def scale(self, case: Case) -> Scale:
        """How each row's gradient is scaled: by the cotangent, divided for a mean."""
        return self.upstream, (self.count or self.denominator) if case.reduction == "mean" else None

    def case(self, x: Array, **options: Any) -> Case:
        """The arguments as they are read."""
        return self.read(self.guard(_case(x, **options)))

    def grad(
        self,
        x: Array,
        cotangent: Array,
        *,
        axis: int = -1,
        **options: Any,
    ) -> Array:
        """The gradient with respect to ``x``."""
        with np.errstate(all="ignore"):
            case = self.case(x, axis=axis, **options)
            steps = self.slope, self.prob, self.weigh, self.mix
            return _grad(case, cotangent, axis, steps, self.scale(case), (self.mask_slope, self.leave_grad))


# Of what differs in steps that a call does not take, the result is one: it is shared.


@shared
def _value(
    case: Case,
    steps: tuple[OfRows, OfClasses, Step, OfRows, OfCase],
    mean: OfRows | None,
    total: Step | None,
    divisor: OfCase | None,
    leave: Step,
) -> Array:
    out = _rows(case, *steps)
    if mean is not None:
        out = mean(case, out)
    elif total is not None:
        out = total(out)
        out = out / divisor(case) if divisor is not None else out
    return np.asarray(leave(np.asarray(out))).astype(case.io)


@shared
def _grad(
    case: Case,
    cotangent: Array,
    axis: int,
    steps: tuple[OfClasses, Step, OfRows, OfCase],
    scale: Scale,
    last_steps: tuple[OfRows, Step],
) -> Array:
    mask, leave = last_steps
    out = leave(mask(case, row_scale(case, cotangent, *scale) * _slopes(case, *steps)))
    return unlast(out.astype(case.io), axis)


def row_scale(case: Case, cotangent: Array, upstream: OfRows, divisor: OfCase | None) -> Array:
    """The scale of each row's gradient."""
    g = upstream(case, cotangent.astype(case.x.dtype))[..., None]
    return g / divisor(case) if divisor is not None else g


@shared
def _rows(case: Case, mask: OfRows, rows: OfClasses, logp: Step, weigh: OfRows, mix: OfCase) -> Array:
    """The loss of each row."""
    return mask(case, rows(case, logp(case.x), weigh(case, mix(case))))


@shared
def _slopes(case: Case, slope: OfClasses, prob: Step, weigh: OfRows, mix: OfCase) -> Array:
    """The gradient of each row's loss, ignored or not."""
    return slope(case, prob(case.x), weigh(case, mix(case)))


CORRECT = Loss()
NLL = Loss(logp=same, prob=same, rows=picked, slope=lambda case, p, c: -c)


@shared
def _case(
    x: Array,
    *,
    target: Array,
    weight: Array | None = None,
    ignore_index: int | None = None,
    reduction: str = "mean",
    axis: int = -1,
    label_smoothing: float = 0.0,
) -> Case:
    if reduction not in ("none", "sum", "mean"):
        raise ValueError(f"unknown reduction {reduction!r}")
    rows = last(x, axis).astype(wide(x.dtype))
    k = rows.shape[-1]
    w = np.ones(k, rows.dtype) if weight is None else weight.astype(rows.dtype)
    kept = np.ones(rows.shape[:-1], dtype=bool)
    labels = None
    if target.dtype.kind in "iu":
        labels = target
        kept = kept if ignore_index is None else target != ignore_index
        q = (np.arange(k) == target[..., None]).astype(rows.dtype)
    else:
        q = last(target, axis).astype(rows.dtype)
    return Case(rows, labels, q, w, weight is not None, kept, label_smoothing, reduction, ignore_index, x.dtype)
