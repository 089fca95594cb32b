"""JVPs, second derivatives and gradients with respect to targets of the correct parents, step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .loss_steps import CORRECT, Case, Loss, OfCase, OfClasses, OfRows, Scale, row_scale
from .sharing import shared
from .softmax_steps import Array, Function, Step, last, row_sum, unlast, vjp_softmax, wide

Rows = Callable[[Case, Array, Array, Array], Array]


def along(f: Callable[..., Array]) -> Function:
    """A function of rows of several arrays as a derivative."""

    def derivative(x: Array, *given: Array, axis: int = -1) -> Array:
        with np.errstate(all="ignore"):
            rows = [last(a, axis).astype(wide(x.dtype)) for a in (x, *given)]
            return unlast(f(*rows).astype(x.dtype), axis)

    return derivative


def row_derivatives(
    op: str, p: Step, jvp: Callable[..., Array] | None = None, hvp: Callable[..., Array] | None = None
) -> dict[str, Function]:
    """Those of softmax or log_softmax, given the probabilities of rows."""
    if op == "softmax":
        return {"jvp": along(jvp or (lambda x, v: vjp_softmax(p(x), v)))}
    return {
        "jvp": along(jvp or (lambda x, v: v - row_sum(np.where(p(x) == 0, 0, p(x) * v)))),
        "hvp": along(hvp or (lambda x, c, v: -row_sum(c) * vjp_softmax(p(x), v))),
    }


def hvp_rows(case: Case, p: Array, c: Array, v: Array) -> Array:
    """``Q (p o (v - <p, v>))``."""
    return row_sum(c) * vjp_softmax(p, v)


def no_rows(case: Case, p: Array, c: Array, v: Array) -> Array:
    """nll_loss is linear in its input."""
    return np.zeros_like(p)


def target_rows(case: Case, g: Array, y: Array) -> Array:
    """``-g (1 - eps) w log p``, in an order in which no product overflows before it is scaled by g."""
    return -(g * (y_scale(case) * case.w)) * y


def mixed_rows(case: Case, p: Array, u: Array) -> Array:
    """``(1 - eps) (p <w, u> - w u)``."""
    return y_scale(case) * (p * row_sum(case.w * u) - case.w * u)


def target_jvp_rows(case: Case, u: Array, y: Array) -> Array:
    """``-(1 - eps) sum w u log p``; what has no mass in the direction contributes nothing."""
    c = y_scale(case) * case.w * u
    return -np.sum(np.where(c == 0, 0, c * y), axis=-1, dtype=y.dtype)


def y_scale(case: Case) -> Array:
    """``1 - eps``."""
    return np.asarray(1 - case.eps, case.x.dtype)


@dataclass(frozen=True)
class Later:
    """The further derivatives of a loss; ``reduce`` turns the rows of a JVP into the reduction's."""

    of: Loss = CORRECT
    jvp_rows: Rows | None = None
    hvp_rows: Rows = hvp_rows
    target_rows: OfClasses = target_rows
    mixed_rows: OfClasses = mixed_rows
    target_jvp_rows: OfClasses = target_jvp_rows
    scale: Callable[[Case], Scale] | None = None

    def functions(self, op: str = "cross_entropy") -> dict[str, Function]:
        """All that the op has, as check_implementation takes them."""
        if op == "nll_loss":
            return {"jvp": self.jvp, "hvp": replace(self, hvp_rows=no_rows).hvp}
        return {
            "jvp": self.jvp,
            "hvp": self.hvp,
            "grad_target": self.grad_target,
            "mixed": self.mixed,
            "jvp_target": self.jvp_target,
        }

    def jvp(self, x: Array, tangent: Array, *, axis: int = -1, **options: Any) -> Array:
        """The derivative of the value along a direction."""
        with np.errstate(all="ignore"):
            case, of = self.of.case(x, axis=axis, **options), self.of
            steps = self.jvp_rows or of.slope, of.prob, of.weigh, of.mix, of.mask
            return _jvp(case, tangent, axis, steps, of.divisor(case), along_slope=self.jvp_rows is None)

    def jvp_target(self, x: Array, target_tangent: Array, *, axis: int = -1, **options: Any) -> Array:
        """The derivative of the value along a direction in the targets."""
        with np.errstate(all="ignore"):
            case, of = self.of.case(x, axis=axis, **options), self.of
            return _jvp_target(case, target_tangent, axis, self.target_jvp_rows, of.logp, of.divisor(case))

    def hvp(self, x: Array, cotangent: Array, tangent: Array, *, axis: int = -1, **options: Any) -> Array:
        """The derivative of the gradient along a direction."""
        with np.errstate(all="ignore"):
            case, of = self.of.case(x, axis=axis, **options), self.of
            steps = self.hvp_rows, of.prob, of.weigh, of.mix, of.mask_slope
            return _hvp(case, cotangent, tangent, axis, steps, self._scale(case))

    def grad_target(self, x: Array, cotangent: Array, *, axis: int = -1, **options: Any) -> Array:
        """The gradient with respect to probability targets."""
        with np.errstate(all="ignore"):
            case = self.of.case(x, axis=axis, **options)
            return _grad_target(case, cotangent, axis, self.target_rows, self.of.logp, self._scale(case))

    def mixed(self, x: Array, cotangent: Array, target_tangent: Array, *, axis: int = -1, **options: Any) -> Array:
        """The derivative of the logit gradient along a direction in the targets."""
        with np.errstate(all="ignore"):
            case, of = self.of.case(x, axis=axis, **options), self.of
            steps = self.mixed_rows, of.prob, of.mask_slope
            return _mixed(case, cotangent, target_tangent, axis, steps, self._scale(case))

    def _scale(self, case: Case) -> Scale:
        return (self.scale or self.of.scale)(case)


# Of what differs in steps that an output does not take, that output is one: it is shared.


@shared
def _jvp(
    case: Case,
    tangent: Array,
    axis: int,
    steps: tuple[Any, Step, OfRows, OfCase, OfRows],
    divisor: OfCase | None,
    *,
    along_slope: bool,
) -> Array:
    of, prob, weigh, mix, mask = steps
    v = last(tangent, axis).astype(case.x.dtype)
    p, c = prob(case.x), weigh(case, mix(case))
    rows = np.sum(of(case, p, c) * v, axis=-1, dtype=v.dtype) if along_slope else of(case, p, c, v)
    return _reduced(case, mask(case, rows), divisor)


@shared
def _jvp_target(
    case: Case, target_tangent: Array, axis: int, of: OfClasses, logp: Step, divisor: OfCase | None
) -> Array:
    return _reduced(case, of(case, last(target_tangent, axis).astype(case.x.dtype), logp(case.x)), divisor)


def _reduced(case: Case, rows: Array, divisor: OfCase | None) -> Array:
    if case.reduction == "none":
        return rows.astype(case.io)
    total = np.sum(rows, dtype=rows.dtype)
    return np.asarray(total / divisor(case) if divisor is not None else total).astype(case.io)


@shared
def _hvp(
    case: Case,
    cotangent: Array,
    tangent: Array,
    axis: int,
    steps: tuple[Rows, Step, OfRows, OfCase, OfRows],
    scale: Scale,
) -> Array:
    of, prob, weigh, mix, mask = steps
    rows = of(case, prob(case.x), weigh(case, mix(case)), last(tangent, axis).astype(case.x.dtype))
    return unlast(mask(case, row_scale(case, cotangent, *scale) * rows).astype(case.io), axis)


@shared
def _grad_target(case: Case, cotangent: Array, axis: int, of: OfClasses, logp: Step, scale: Scale) -> Array:
    return unlast(of(case, row_scale(case, cotangent, *scale), logp(case.x)).astype(case.io), axis)


@shared
def _mixed(
    case: Case,
    cotangent: Array,
    target_tangent: Array,
    axis: int,
    steps: tuple[OfClasses, Step, OfRows],
    scale: Scale,
) -> Array:
    of, prob, mask = steps
    rows = of(case, prob(case.x), last(target_tangent, axis).astype(case.x.dtype))
    return unlast(mask(case, row_scale(case, cotangent, *scale) * rows).astype(case.io), axis)
