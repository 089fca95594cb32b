"""JVPs, second derivatives and gradients with respect to targets of the correct parents, step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .loss_steps import CORRECT, Case, Loss
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
    target_rows: Callable[[Case, Array, Array], Array] = target_rows
    mixed_rows: Callable[[Case, Array, Array], Array] = mixed_rows
    target_jvp_rows: Callable[[Case, Array, Array], Array] = target_jvp_rows
    scale: Callable[[Case, Array], Array] | None = None

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

    def _read(self, x: Array, axis: int, options: dict[str, Any]) -> tuple[Case, Array, Array]:
        case = self.of.case(x, axis=axis, **options)
        return case, self.of.prob(case.x), self.of.weigh(case, self.of.mix(case))

    def jvp(self, x: Array, tangent: Array, *, axis: int = -1, **options: Any) -> Array:
        """The derivative of the value along a direction."""
        with np.errstate(all="ignore"):
            case, p, c = self._read(x, axis, options)
            v = last(tangent, axis).astype(case.x.dtype)
            if self.jvp_rows is None:
                rows = np.sum(self.of.slope(case, p, c) * v, axis=-1, dtype=v.dtype)
            else:
                rows = self.jvp_rows(case, p, c, v)
            return self._reduced(case, self.of.mask(case, rows), x.dtype)

    def jvp_target(self, x: Array, target_tangent: Array, *, axis: int = -1, **options: Any) -> Array:
        """The derivative of the value along a direction in the targets."""
        with np.errstate(all="ignore"):
            case = self.of.case(x, axis=axis, **options)
            u = last(target_tangent, axis).astype(case.x.dtype)
            return self._reduced(case, self.target_jvp_rows(case, u, self.of.logp(case.x)), x.dtype)

    def _reduced(self, case: Case, rows: Array, io: np.dtype[Any]) -> Array:
        if case.reduction == "none":
            return rows.astype(io)
        total = np.sum(rows, dtype=rows.dtype)
        out = total / self.of.denominator(case) if case.reduction == "mean" else total
        return np.asarray(out).astype(io)

    def _scaled(self, case: Case, cotangent: Array, rows: Array, io: np.dtype[Any], axis: int) -> Array:
        g = (self.scale or self.of.row_scale)(case, cotangent)
        return unlast(self.of.mask_slope(case, g * rows).astype(io), axis)

    def hvp(self, x: Array, cotangent: Array, tangent: Array, *, axis: int = -1, **options: Any) -> Array:
        """The derivative of the gradient along a direction."""
        with np.errstate(all="ignore"):
            case, p, c = self._read(x, axis, options)
            v = last(tangent, axis).astype(case.x.dtype)
            return self._scaled(case, cotangent, self.hvp_rows(case, p, c, v), x.dtype, axis)

    def grad_target(self, x: Array, cotangent: Array, *, axis: int = -1, **options: Any) -> Array:
        """The gradient with respect to probability targets."""
        with np.errstate(all="ignore"):
            case = self.of.case(x, axis=axis, **options)
            g = (self.scale or self.of.row_scale)(case, cotangent)
            return unlast(self.target_rows(case, g, self.of.logp(case.x)).astype(x.dtype), axis)

    def mixed(self, x: Array, cotangent: Array, target_tangent: Array, *, axis: int = -1, **options: Any) -> Array:
        """The derivative of the logit gradient along a direction in the targets."""
        with np.errstate(all="ignore"):
            case, p, _ = self._read(x, axis, options)
            u = last(target_tangent, axis).astype(case.x.dtype)
            return self._scaled(case, cotangent, self.mixed_rows(case, p, u), x.dtype, axis)
