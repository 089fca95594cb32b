"""The losses composed of a framework's functions, for frameworks that have no native ones of their own.

They are what a careful user writes with section 2 of docs/specification.md in hand: weights, ignored labels, smoothing
and reduction, written once for all frameworks, each of which supplies its own functions. The class axis is the last.
16-bit inputs are widened to float32 first and the result is rounded once, so the error profile is W in every dtype.
Terms that do not take part are selected away with ``where``, never multiplied by 0, because 0 * inf is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Optional

import numpy as np

from .protocol import REDUCTIONS, Problem


@dataclass(frozen=True)
class Namespace:
    """The functions that a framework supplies; ``sum`` is over the last axis, or over everything (False); ``mean``
    is over everything. The softmaxes take an axis or nothing."""

    cast: Callable[[Any, str], Any]
    to_last: Callable[[Any, int], Any]
    softmax: Callable[..., Any]
    log_softmax: Callable[..., Any]
    one_hot: Callable[[Any, int], Any]
    where: Callable[[Any, Any, Any], Any]
    sum: Callable[[Any, bool], Any]
    mean: Callable[[Any], Any]


@dataclass(frozen=True)
class Values:
    """The values of a loss's options: ``keep`` is 1 - eps, ``share`` eps / K, ``ignore`` the label to be ignored.
    They are numbers, or scalars of the framework where one compiled program serves several of them.
    """

    keep: Any = 1.0
    share: Any = 0.0
    ignore: Any = None


def values(p: Problem) -> Values:
    """Return the values of a problem's options as numbers."""
    return Values(1.0 - p.label_smoothing, p.label_smoothing / max(1, p.x.shape[p.axis]), p.ignore_index)


def wide(dtype: str) -> str:
    """Return the dtype in which sums over a dtype are kept: float64 for float64, float32 for all others."""
    return "float64" if dtype == "float64" else "float32"


def widen(f: Namespace, p: Problem, a: Any) -> Any:
    """Convert a tensor of the problem's dtype to the dtype in which sums are kept."""
    return a if p.dtype == wide(p.dtype) else f.cast(a, wide(p.dtype))


def loss(
    f: Namespace, p: Problem, x: Any, target: Any, weight: Any, v: Optional[Values] = None, *, select_used: bool = True
) -> Any:
    """Compute ``nll_loss`` or ``cross_entropy`` of ``x``, the class axis last, in its own dtype.

    The labels must have been checked. The values of options are ``v``, by default those of the problem.

    The gradient with respect to probabilities is taken without ``select_used``: what is selected away has none, but
    the loss grows without limit with the probability of a masked class, also where that is 0.
    """
    k, eps, v = p.x.shape[p.axis], p.label_smoothing, v or values(p)
    y = widen(f, p, f.to_last(x, p.axis))
    w = None if p.weight is None else widen(f, p, weight)
    if p.op == "cross_entropy":
        y = f.log_softmax(y, -1)
    if p.has_probability_target:
        c = widen(f, p, f.to_last(target, p.axis))
        if eps:
            c = v.keep * c + v.share
        if w is not None:
            c = w * c
        return reduce(f, p, -f.sum(c * (_used(f, c, y) if select_used else y), True), None)
    hot = f.one_hot(target, k)
    rows = -f.sum(f.where(hot, y, 0.0), True)
    w_y = None if w is None else f.sum(f.where(hot, w, 0.0), True)
    if w_y is not None and not eps:
        rows = w_y * rows
    if eps:
        # 1 - eps goes to the weight first: weight times loss alone may overflow where the smoothed loss does not.
        own = v.keep if w_y is None else v.keep * w_y
        # eps/K goes inside the sum: the sum of the log-probabilities alone may overflow where the loss does not.
        spread = f.sum(v.share * y if w is None else (w * v.share) * _used(f, w, y), True)
        # eps = 1 leaves nothing of the label's own term, not even where that is infinite. A program that serves other
        # values as well selects.
        counts = v.keep != 0.0
        if counts is not True and counts is not False:
            rows = f.where(counts, rows, 0.0)
        rows = -spread if counts is False else own * rows - spread
    return drop_ignored(f, p, rows, target, w_y, v)


def _used(f: Namespace, c: Any, y: Any) -> Any:
    """Replace ``y`` by 0 for masked classes that have no coefficient: they contribute nothing. NaN stays."""
    return f.where((c == 0.0) & (y == -np.inf), 0.0, y)


def check_labels(p: Problem) -> None:
    """Raise an error for an unknown label, of which a one-hot row would silently be zero."""
    if p.target is None or p.has_probability_target:
        return
    k = p.x.shape[p.axis]
    bad = (p.target < 0) | (p.target >= k)
    if p.ignore_index is not None:
        bad &= p.target != p.ignore_index
    if bad.any():
        raise IndexError("label %d is out of range for %d classes" % (int(p.target[bad].flat[0]), k))


def drop_ignored(f: Namespace, p: Problem, rows: Any, target: Any, w_y: Any, v: Values) -> Any:
    """Drop ignored rows of index targets, then reduce. ``w_y`` is the weight of each row's label, or None for 1."""
    if p.ignore_index is None:
        return reduce(f, p, rows, w_y)
    kept = target != v.ignore
    rows = f.where(kept, rows, 0.0)
    if p.reduction != "mean":
        return reduce(f, p, rows, None)
    return reduce(f, p, rows, f.cast(kept, wide(p.dtype)) if w_y is None else f.where(kept, w_y, 0.0))


def reduce(f: Namespace, p: Problem, rows: Any, counted: Any) -> Any:
    """Reduce wide row losses and round once. ``counted`` is each row's part of the denominator, or None for 1."""
    if p.reduction not in REDUCTIONS:
        raise ValueError("unknown reduction %r" % p.reduction)
    if p.reduction == "mean" and counted is None:
        # The framework's own: a division written here would be differentiated as one, and in TensorFlow's forward mode
        # that of an infinite loss is NaN.
        rows = f.mean(rows)
    elif p.reduction != "none":
        rows = f.sum(rows, False)
        rows = rows / f.sum(counted, False) if p.reduction == "mean" else rows
    return rows if p.dtype == wide(p.dtype) else f.cast(rows, p.dtype)
