"""Transforms of problems for the relations (specification, section 5): all are exact; flat problems are (N, K)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lossproof.adapters.protocol import Problem
from lossproof.cases.picker import Picker
from lossproof.core.call import rows_back, rows_first
from lossproof.core.formats import F64, FORMATS


def first_order(p: Problem) -> Problem:
    """Return the problem with nothing wanted but value and gradient, and with contiguous logits."""
    return replace(p, tangent=None, wrt_target=False, target_tangent=None, layout="contiguous", laid="", omit=False)


def is_finite(p: Problem) -> bool:
    """Say whether every input is finite, and logits so far from the largest that no difference overflows."""
    arrays = [a for a in (p.x, p.target, p.weight, p.cotangent) if a is not None]
    return bool(all(np.isfinite(a).all() for a in arrays) and np.abs(p.x).max(initial=0) < FORMATS[p.dtype].max / 16)


def has_distinct_classes(p: Problem) -> bool:
    """Say whether a finite problem has classes that differ: where all are equal, most mistakes are invisible."""
    return is_finite(p) and bool(np.ptp(p.x, axis=p.axis).max(initial=0) >= 1)


def flatten(p: Problem) -> Problem:
    """Return the problem in rows and classes alone."""
    target, cot = p.target, p.cotangent
    if target is not None:
        target = rows_first(target, p.axis) if p.has_probability_target else target.reshape(-1)
    if cot is not None and cot.ndim:
        cot = cot.reshape(-1) if p.is_loss else rows_first(cot, p.axis)
    x, of_rows = rows_first(p.x, p.axis), None if p.sample_weight is None else p.sample_weight.reshape(-1)
    return replace(p, x=x.copy(), target=_own(target), cotangent=_own(cot), axis=-1, sample_weight=_own(of_rows))


def unflatten(f: Problem, like: Problem) -> Problem:
    """Return a flattened problem in the shape and axis of another one of as many rows and classes."""
    shape, axis = like.x.shape, like.axis
    rest = tuple(np.delete(shape, axis % len(shape)))
    target, cot = f.target, f.cotangent
    if target is not None:
        target = rows_back(target, shape, axis) if f.has_probability_target else target.reshape(rest)
    if cot is not None and cot.ndim:
        cot = cot.reshape(rest) if f.is_loss else rows_back(cot, shape, axis)
    of_rows = None if f.sample_weight is None else f.sample_weight.reshape(rest)
    x = rows_back(f.x, shape, axis).copy()
    return replace(f, x=x, target=_own(target), cotangent=_own(cot), axis=axis, sample_weight=_own(of_rows))


def per_row(p: Problem) -> Problem:
    """Return a loss with reduction none: every row has a result and a cotangent of its own."""
    if not p.is_loss or p.reduction == "none":
        return p
    rest = tuple(np.delete(p.x.shape, p.axis % p.x.ndim))
    return replace(p, reduction="none", cotangent=None if p.cotangent is None else np.ones(rest))


def permuted(f: Problem, order: NDArray[np.int64]) -> Problem:
    """Permute classes: class ``j`` of the result is class ``order[j]``; weights, labels and ignore_index move along."""
    k = f.x.shape[-1]
    place = np.argsort(order)
    target, ignore, cot = f.target, f.ignore_index, f.cotangent
    if target is not None:
        if f.has_probability_target:
            target = target[:, order]
        else:
            known = (target >= 0) & (target < k)
            target = np.where(known, place[np.where(known, target, 0)], target)
    if ignore is not None and 0 <= ignore < k:
        ignore = int(place[ignore])
    weight = None if f.weight is None else f.weight[order].copy()
    if cot is not None and not f.is_loss:
        cot = cot[:, order]
    return replace(
        f, x=f.x[:, order].copy(), target=_own(target), weight=weight, ignore_index=ignore, cotangent=_own(cot)
    )


def permutation(pick: Picker, k: int) -> NDArray[np.int64]:
    """Draw an order of k classes, never the identity for k > 1."""
    order = np.arange(k)
    for i in range(k - 1, 0, -1):
        j = pick.integer(0, i - 1)  # Sattolo: a single cycle moves every class
        order[[i, j]] = order[[j, i]]
    return order


def on_grid(x: F64, dtype: str) -> tuple[F64, float]:
    """Return logits on a grid, and a step such that logits plus or minus the step are exact in the format."""
    fmt = FORMATS[dtype]
    _, top = np.frexp(np.abs(x).max(initial=0.0))
    # Magnitudes stay below 2^(top + 2), and the format has ``precision`` bits below that.
    grid = np.ldexp(1.0, max(int(top), fmt.emin + fmt.precision) + 2 - fmt.precision)
    step = np.ldexp(1.0, max(int(top), fmt.emin + fmt.precision))
    moved = np.rint(x / grid) * grid
    # sanity check: adding the step rounds nowhere
    assert all(
        fmt.holds(a) and np.array_equal(a - sign * step, moved) for sign in (1, -1) for a in [moved + sign * step]
    )
    return moved, float(step)


def with_masked_class(f: Problem, weight: float) -> Problem:
    """Return the problem with one more class at -inf, with any weight."""
    n = f.x.shape[0]
    cot = f.cotangent
    if cot is not None and not f.is_loss:
        cot = np.concatenate([cot, np.zeros((n, 1))], axis=1)
    return replace(
        f,
        x=np.concatenate([f.x, np.full((n, 1), -np.inf)], axis=1),
        weight=None if f.weight is None else np.append(f.weight, weight),
        cotangent=cot,
    )


def one_hot(f: Problem) -> Problem:
    """Return the problem with one-hot probabilities for its index targets, none of which is ignored."""
    # sanity check: index targets
    assert f.target is not None
    return replace(f, target=np.eye(f.x.shape[-1])[f.target], ignore_index=None)


def rows_of(f: Problem, which: slice) -> Problem:
    """Return some rows of a flattened problem whose rows are independent."""
    target, cot, weight = (None if a is None else a[which].copy() for a in (f.target, f.cotangent, f.sample_weight))
    return replace(f, x=f.x[which].copy(), target=target, cotangent=cot, sample_weight=weight)


def samples_of(f: Problem, n: int) -> Problem:
    """Return the rows of a flat loss of labels, over and over, as ``n`` samples of one position each: ``(n, K, 1)``.

    Its cotangent is that of reduction none; see :func:`per_row`.
    """
    # sanity check: labels, one for each row
    assert f.target is not None
    x, target = (np.resize(a, (n, *a.shape[1:])) for a in (f.x, f.target))
    return replace(f, x=x[:, :, None], target=target[:, None], cotangent=np.ones((n, 1)), reduction="none", axis=1)


def denominator(p: Problem) -> F64:
    """Return each row's part of the denominator of the mean, (N,)."""
    # sanity check: losses have targets
    assert p.target is not None
    if p.has_probability_target:
        return np.ones(p.x.size // p.x.shape[p.axis])
    y = p.target.reshape(-1)
    kept = np.ones(y.shape, dtype=bool) if p.ignore_index is None else y != p.ignore_index
    w = np.ones(p.x.shape[p.axis]) if p.weight is None else p.weight
    return np.where(kept, w[np.where(kept, y, 0)], 0.0)


def _own(a: np.ndarray | None) -> np.ndarray | None:
    return None if a is None else a.copy()
