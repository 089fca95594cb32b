"""The search for simpler problems that show the same: greedy, deterministic, in steps that a reader can follow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossproof.adapters.protocol import ARRAYS, Problem
from lossproof.core.formats import FORMATS

# Problems that are tried at most.
BUDGET = 300
# Parts of an axis that are cut off, the largest first; of a long one never a single entry.
_PARTS = (2, 4, 8)
_LONG = 32
_DISTINCT = 8
# The places of an axis that are left, in order.
Places = NDArray[np.intp]


def simpler(p: Problem, same: Callable[[Problem], bool], *, at: tuple[int, ...] = (), budget: int = BUDGET) -> Problem:
    """Simplify a problem as long as ``same`` holds of the result.

    ``at`` is the index of the entry that is wrong; ``same`` is asked ``budget`` times at most.
    """
    left = budget
    while True:
        for q in _candidates(p, at):
            if left == 0:
                return p
            left -= 1
            if same(q):
                p = q
                break
        else:
            return p


def _candidates(p: Problem, at: tuple[int, ...]) -> Iterator[Problem]:
    """Yield the problems that are one step simpler, the largest steps first."""
    yield from _plainer(p)
    yield from _fewer(p, at)
    yield from _alike(p)
    for name in ARRAYS:
        a = getattr(p, name)
        if a is not None and a.dtype.kind == "f":
            yield from (_with(p, {name: b}) for b in _rounder(name, a, p) if _differs(a, b))


def _with(p: Problem, changed: Mapping[str, Any]) -> Problem:
    return replace(p, **changed)


def _differs(a: np.ndarray, b: np.ndarray) -> bool:
    return not np.array_equal(a, b, equal_nan=True)


def _plainer(p: Problem) -> Iterator[Problem]:
    """Yield the problem with one option fewer."""
    if p.layout != "contiguous":
        yield replace(p, layout="contiguous", laid="")
    if p.omit:
        yield replace(p, omit=False)
    if p.scale != 1.0:
        yield replace(p, scale=1.0)
    if p.weight is not None:
        yield replace(p, weight=None)
    if p.label_smoothing:
        yield replace(p, label_smoothing=0.0)
    if p.ignore_index is not None and p.target is not None and not np.any(p.target == p.ignore_index):
        yield replace(p, ignore_index=None)


def _fewer(p: Problem, at: tuple[int, ...]) -> Iterator[Problem]:
    """Yield the problem with fewer rows, then with fewer classes."""
    axis = p.axis % p.x.ndim
    for i, n in enumerate(p.x.shape):
        if i != axis and n > 1:
            j = i - (i > axis) if p.is_loss else i
            own = at[j] if len(at) == p.x.ndim - p.is_loss and j < len(at) else 0
            kept = [np.array([own])] if own < n else []
            for part in (*kept, np.array([0]), *_parts(n)):
                yield _cut(p, i, part)
    k = p.x.shape[axis]
    labels = p.target if p.is_loss and not p.has_probability_target else None
    for part in (*_telling(p, at), *_parts(k)):
        if labels is None or _holds(labels, part, p.ignore_index):
            yield _cut(p, axis, part)


def _telling(p: Problem, at: tuple[int, ...]) -> Iterator[Places]:
    """Yield the classes that tell most, where these are fewer: the largest logits, the labels, the wrong entry, and
    besides these the smallest logits."""
    axis = p.axis % p.x.ndim
    x = np.moveaxis(p.x, axis, -1).reshape(-1, p.x.shape[axis])
    if not 0 < len(x) <= _DISTINCT or x.shape[1] < 2:
        return
    kept = set(np.argmax(x, axis=1).tolist())
    # What was cut off before may have moved the entry.
    if len(at) == p.x.ndim and at[axis] < x.shape[1]:
        kept.add(at[axis])
    if p.target is not None and not p.has_probability_target:
        kept |= {label for label in p.target.reshape(-1).tolist() if 0 <= label < x.shape[1]}
    for some in (kept, kept | set(np.argmin(x, axis=1).tolist())):
        if len(some) < x.shape[1]:
            yield np.array(sorted(some))


def _parts(n: int) -> Iterator[Places]:
    """Yield what is left of an axis of ``n`` entries without a part at its end, its beginning or between, the shortest
    first."""
    every = np.arange(n)
    sizes = [n // part for part in _PARTS] + ([1] if n <= _LONG else [])
    for size in dict.fromkeys(s for s in sizes if 0 < s < n):
        for start in (n - size, 0, *range(size, n - size, size)):
            yield np.delete(every, slice(start, start + size))


def _holds(labels: np.ndarray, part: Places, ignored: int | None) -> bool:
    """Tell whether every label is among the classes that are left, and an ignored one means none of them."""
    inside = np.isin(labels, part)
    return bool(np.all(inside | (labels == ignored))) and (ignored is None or int(part[-1]) == len(part) - 1)


def _cut(p: Problem, axis: int, part: Places) -> Problem:
    """Keep a part of one axis of the logits, and the same part of every array that has the axis."""
    classes = p.axis % p.x.ndim
    changed: dict[str, Any] = {}
    for name in ARRAYS:
        a = getattr(p, name)
        if a is None:
            continue
        if a.shape == p.x.shape and a.ndim:
            changed[name] = np.take(a, part, axis)
        elif name == "weight":
            changed[name] = np.take(a, part) if axis == classes else a
        elif a.ndim == p.x.ndim - 1 and a.ndim:
            changed[name] = a if axis == classes else np.take(a, part, axis - (axis > classes))
    labels = changed.get("target", p.target)
    if axis == classes and p.is_loss and not p.has_probability_target:
        # sanity check: losses have targets
        assert isinstance(labels, np.ndarray)
        place = np.searchsorted(part, labels)
        # An ignored label is none of the classes.
        changed["target"] = np.where(np.isin(labels, part), place, labels).astype(labels.dtype)
    return _with(p, changed)


def _alike(p: Problem) -> Iterator[Problem]:
    """Yield the problem with all rows of one array alike: as the first, as the last, or labels as any."""
    axis = p.axis % p.x.ndim
    for name in ARRAYS:
        a = getattr(p, name)
        if a is None or name == "weight" or not a.ndim:
            continue
        rows = [i for i in range(a.ndim) if a.shape != p.x.shape or i != axis]
        if all(a.shape[i] < 2 for i in rows):
            continue
        some = [
            a[tuple(end if i in rows else slice(None) for i in range(a.ndim))] for end in (slice(0, 1), slice(-1, None))
        ]
        if a.dtype.kind in "iu":
            some += [np.full_like(a, label) for label in np.unique(a)[:_DISTINCT]]
        for one in some:
            b = np.ascontiguousarray(np.broadcast_to(one, a.shape))
            if _differs(a, b):
                yield _with(p, {name: b})


def _rounder(name: str, a: np.ndarray, p: Problem) -> Iterator[np.ndarray]:
    """Yield an array in numbers of fewer bits; of weights, cotangents and directions 1s first."""
    if name not in ("x", "target"):
        if np.all(a == 1.0):
            return
        yield np.ones_like(a)
    finite = np.isfinite(a)
    fmt = FORMATS[p.dtype_of_input(name)]
    with np.errstate(over="ignore"):
        if name in ("x", "target"):
            yield np.where(finite, 0.0, a)
        values = np.unique(a[finite & (a != 0)])
        for value in values if len(values) <= _DISTINCT else ():
            yield np.where(a == value, 0.0, a)
        # Adding 0 turns -0 into 0.
        yield np.where(finite, np.round(a) + 0.0, a)
        for bits in (3, 6):
            mantissa, exponent = np.frexp(np.where(finite, a, 0.0))
            b = np.where(finite, np.ldexp(np.round(np.ldexp(mantissa, bits)), exponent - bits) + 0.0, a)
            if fmt.holds(b):
                yield b
