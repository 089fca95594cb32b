"""The mechanisms behind sums over classes that are rounded on the way: added up in 16 bits, beyond their range, or a
gradient that passes through the maximum and ends as a sum of roundings."""

from __future__ import annotations

from itertools import islice

import numpy as np

from lossproof.adapters.protocol import Problem
from lossproof.core.call import rows_first
from lossproof.core.formats import F64, FORMATS, Format
from lossproof.functions.variant_mechanisms import kept_rows

# Sums of more classes are not added up one by one.
_LONG = 4096
# Of rows with fewer classes a sum has too few roundings to be told from the others.
_FEW = 8
# An answer is explained that is nearer than this share of its error, and an entry that is this much further off.
_NEAR, _FAR = 0.25, 20.0


def of_rounded_sums(p: Problem, output: str, got: F64, right: F64) -> str:
    """Say which sum over the classes is rounded where it should not be; an empty text where that explains nothing.

    ``got`` and ``right`` are the answer and the exact result of a value or a gradient, rows first and classes last.
    """
    if p.op == "nll_loss" or output not in ("value", "vjp") or p.variant_parts or p.scale != 1.0:
        return ""
    fmt, x = FORMATS[p.dtype], rows_first(p.x, p.axis)
    top = x.max(axis=1, keepdims=True)
    if not np.isfinite(top).all():
        return ""
    found = ""
    if fmt.is_narrow:
        found = _beyond_range(p, output, got, right, np.exp(x - top).sum(axis=1)) or _added_up(p, output, got, right)
    return found or (_through_the_maximum(fmt, x - top, got, right) if output == "vjp" else "")


def _beyond_range(p: Problem, output: str, got: F64, right: F64, sums: F64) -> str:
    """Of a sum that is no number of the format, though the result is."""
    fmt = FORMATS[p.dtype]
    if not np.any(np.isfinite(right) & (right != 0) & (~np.isfinite(got) | (got == 0))):
        return ""
    end = f"beyond the range of {p.dtype}, which ends at {fmt.max:.6g}: rounded to it, it is infinite"
    if sums.max() > fmt.max:
        return (
            f"the sum of a row's exponentials, {sums.max():.6g}, is {end}; it is to stay in {fmt.sums.name} until the "
            "quotient or the logarithm is taken"
        )
    if output == "vjp" and p.op == "log_softmax" and p.cotangent is not None:
        total = float(np.max(np.abs(np.cumsum(rows_first(p.cotangent, p.axis), axis=1))))
        if total > fmt.max:
            return (
                f"the sum of a row's cotangents, {total:.6g}, is {end}; it is to stay in {fmt.sums.name} until the "
                "product with the probability"
            )
    return ""


def _added_up(p: Problem, output: str, got: F64, right: F64) -> str:
    """Of a sum, each addition of which is rounded to the format."""
    fmt, k = FORMATS[p.dtype], p.x.shape[p.axis]
    other = _in_the_format(p, output, fmt)
    usable = np.isfinite(got) & np.isfinite(right)
    if other is None or not usable.any():
        return ""
    error = np.where(usable, np.abs(got - right), 0.0)
    apart = np.where(usable, np.abs(got - other), 0.0)
    is_it = apart.max() <= 2 * _NEAR * error.max() and apart.flat[error.argmax()] <= _NEAR * error.max()
    if not (is_it or (output == "value" and p.op == "softmax" and _one_factor(fmt, k, got, right))):
        return ""
    return (
        f"the sum over {k} classes is added up in {p.dtype}: each addition is rounded to it; expected a sum in "
        f"{fmt.sums.name}, which is rounded once"
    )


def _one_factor(fmt: Format, k: int, got: F64, right: F64) -> bool:
    """Tell whether the probabilities of the worst row are all off by one factor, as the roundings of a sum make it."""
    row = int(np.argmax(np.abs(got - right).max(axis=1)))
    large = right[row] > max(right[row].max() / 1024, 64 * fmt.min_normal)
    if k < _FEW or large.sum() < 2 or not np.all(got[row][large] > 0):
        return False
    off = np.log(got[row][large] / right[row][large])
    return bool(4 * fmt.u < abs(np.median(off)) < k * fmt.u and np.all(np.abs(off - np.median(off)) <= 3 * fmt.u))


def _in_the_format(p: Problem, output: str, fmt: Format) -> F64 | None:
    """The result of a computation that is rounded to the format at each step, also within sums; None of what it does
    not compute."""
    x = rows_first(p.x, p.axis)
    plain_loss = p.weight is None and not p.label_smoothing and not p.has_probability_target and output == "value"
    if x.shape[1] > _LONG or (p.is_loss and not plain_loss):
        return None
    shifted = fmt.round(x - x.max(axis=1, keepdims=True))
    e = fmt.round(np.exp(shifted))
    total = _sum(e, fmt)
    prob, log_p = fmt.round(e / total), fmt.round(shifted - fmt.round(np.log(total)))
    if p.is_loss:
        return _reduced(p, log_p, fmt)
    if output == "value":
        return prob if p.op == "softmax" else log_p
    if p.cotangent is None:
        return None
    g = rows_first(p.cotangent, p.axis)
    if p.op == "softmax":
        return fmt.round(prob * fmt.round(g - _sum(fmt.round(prob * g), fmt)))
    return fmt.round(g - fmt.round(fmt.round(np.exp(log_p)) * _sum(g, fmt)))


def _sum(terms: F64, fmt: Format) -> F64:
    total = terms[:, 0]
    for term in islice(terms.T, 1, None):
        total = fmt.round(total + term)
    return total[:, None]


def _reduced(p: Problem, log_p: F64, fmt: Format) -> F64:
    # sanity check: a loss of labels has labels
    assert p.target is not None
    kept = kept_rows(p).reshape(-1)
    labels = np.where(kept, p.target.reshape(-1), 0)
    rows = np.where(kept, -log_p[np.arange(len(labels)), labels], 0.0)
    if p.reduction == "none":
        return rows
    return fmt.round(np.array([rows.sum() / (kept.sum() if p.reduction == "mean" else 1)]))


def _through_the_maximum(fmt: Format, shifted: F64, got: F64, right: F64) -> str:
    """Of a gradient that is wrong for the largest logit of a row alone: by a sum that is exactly 0.

    Any other wrong sum over the classes is shared out by their probabilities.
    """
    is_top = shifted == 0
    if got.shape != is_top.shape or is_top.shape[1] < _FEW or not np.isfinite(got).all():
        return ""
    error = np.abs(got - right)
    at_top, elsewhere = np.where(is_top, error, 0.0).max(), np.where(is_top, 0.0, error).max()
    roundings = is_top.shape[1] * fmt.u * np.abs(right).sum(axis=1).max()
    worst = int(np.argmax(np.where(is_top, error, 0.0).max(axis=1)))
    shared = at_top * np.where(is_top[worst], 0.0, np.exp(shifted[worst])).max()
    if not (_FAR * elsewhere < at_top <= roundings and 2 * elsewhere < shared):
        return ""
    return (
        f"only the largest logit's entry is off, by {at_top:.3g}: the gradient passes through the maximum, too, which "
        "gets the sum of the row's gradient, exactly 0 and here the roundings of all classes; the maximum is to be a "
        "constant to the gradient (stop_gradient, detach)"
    )
