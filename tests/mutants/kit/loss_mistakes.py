"""Mistakes of the losses, and other reductions than theirs, that mutants of several modules have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import ml_dtypes
import numpy as np

from .loss_steps import CORRECT, Case, Loss, known_labels, relabelled
from .softmax_steps import Array


def counted(case: Case, n: int) -> Array:
    """A number as a denominator."""
    return np.asarray(n, case.x.dtype)


def over_k_minus_1(case: Case) -> Array:
    """The smoothing mass goes to the other K - 1 classes."""
    other = case.eps / max(case.k - 1, 1)
    return np.where(case.q == 1, 1 - case.eps, other).astype(case.x.dtype)


def unnormalised(case: Case) -> Array:
    """The target keeps 1 - eps and gets no share of the uniform part."""
    return np.where(case.q == 1, 1 - case.eps, case.eps / case.k).astype(case.x.dtype)


def weights_at(case: Case, labels: Array) -> Array:
    """Weights of labels, as a numerator's rows."""
    return case.w[np.clip(labels, 0, case.k - 1)]


def all_rows(case: Case) -> Array:
    """The number of rows."""
    return counted(case, case.kept.size)


def kept_rows(case: Case) -> Array:
    """The number of rows that are not ignored."""
    return counted(case, int(case.kept.sum()))


def only_whole(case: Case) -> Case:
    """Probability targets that do not sum to 1, but for the rounding of a few of them, are refused."""
    off = np.abs(case.q.sum(axis=-1, dtype=np.float64) - 1)
    if case.labels is None and (off > 4 * float(ml_dtypes.finfo(case.io).eps)).any():
        raise ValueError("targets must sum to 1")
    return CORRECT.guard(case)


def ignored_by_flat_index(case: Case) -> Case:
    """A row is ignored as well whose flat index, row times classes plus label, is that of a sentinel."""
    if case.labels is None or case.kept.all():
        return CORRECT.guard(case)
    rows = np.arange(case.labels.size, dtype=object).reshape(case.labels.shape)
    flat = rows * case.k + case.labels.astype(object)
    taken = set(flat[~case.kept].tolist())
    kept = np.array([index not in taken for index in flat.ravel()], dtype=bool).reshape(case.kept.shape)
    return CORRECT.guard(replace(case, kept=kept))


def nothing_kept(case: Case) -> bool:
    return bool(case.kept.size) and not case.kept.any()


def balanced(case: Case) -> bool:
    """Rows that are kept, whose weights are all 0."""
    return case.labels is not None and bool(case.kept.any()) and not np.abs(case.scale).any()


def denominator(f: Callable[[Case], object]) -> Loss:
    return Loss(denominator=lambda case: np.asarray(f(case), case.x.dtype))


def raises(when: Callable[[Case], bool]) -> Callable[[Case], Case]:
    def read(case: Case) -> Case:
        if when(case):
            raise RuntimeError("cannot trace this")
        return case

    return read


def checked_by_reduction(reduced: bool) -> Callable[[Case], Case]:
    return lambda case: known_labels(case) if (case.reduction != "none") == reduced else case


def with_labels(change: Callable[[Array, int], Array]) -> Callable[[Case], Case]:
    def read(case: Case) -> Case:
        return case if case.labels is None else relabelled(case, change(case.labels, case.k))

    return read


def ignoring(rule: Callable[[Array, int | None, int], Array]) -> Callable[[Case], Case]:
    """Kept rows by another rule; an unknown label that is kept is an error."""

    def guard(case: Case) -> Case:
        if case.labels is None:
            return case
        return known_labels(replace(case, kept=rule(case.labels, case.ignore_index, case.k)))

    return guard


def unmasked(case: Case, z: Array) -> Array:
    return z


def spread(change: Callable[[Array], Array]) -> Callable[[Case, Array], Array]:
    """The cotangent of reduction none, changed."""
    return lambda case, v: np.broadcast_to(change(v), v.shape).astype(v.dtype) if v.ndim and v.size else v
