"""Losses on arrays that keep something for each logit, and one that does not, for the tests of how memory grows.

:class:`CountedMemory` counts what NumPy takes to the byte, so that small shapes show what hundreds of megabytes show of
a process.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lossproof.adapters.memory import HostMemory

Loss = Callable[..., Any]


class CountedMemory(HostMemory):
    """The memory that Python counts itself, array by array."""

    def begin(self) -> int:
        """Begin to count."""
        tracemalloc.start()
        return 0

    def peak(self) -> int:
        """Return the most bytes that were held since."""
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most


def _row(x: Any, label: int) -> Any:
    m = x.max()
    return np.log(np.exp(x - m).sum()) - (x[label] - m)


def _gradient(x: Any, label: int) -> Any:
    e = np.exp(x - x.max())
    e /= e.sum()
    e[label] -= 1
    return e


def _rows(x: Any, target: Any) -> Iterator[tuple[int, Any, int]]:
    for i, label in enumerate(target):
        yield i, x[i], int(label)


def fused(x: Any, target: Any) -> Any:
    """Row by row: nothing is kept of a logit."""
    return x.dtype.type(sum(float(_row(row, label)) for _, row, label in _rows(x, target)) / len(x))


def fused_gradient(x: Any, cotangent: Any, target: Any) -> Any:
    """Row by row, into the result."""
    out = np.empty_like(x)
    for i, row, label in _rows(x, target):
        out[i] = _gradient(row, label) * (cotangent / len(x))
    return out


def materialised(x: Any, target: Any) -> Any:
    """All log-probabilities at once."""
    m = x - x.max(axis=1, keepdims=True)
    logs = m - np.log(np.exp(m).sum(axis=1, keepdims=True))
    return x.dtype.type(-logs[np.arange(len(x)), target].mean())


def with_mask(x: Any, target: Any) -> Any:
    """Row by row, beside a mask of the labels, of a byte for each logit."""
    mask = np.zeros(x.shape, dtype=bool)
    mask[np.arange(len(x)), target] = True
    return x.dtype.type(sum(float(_row(row, int(at.argmax()))) for row, at in zip(x, mask, strict=True)) / len(x))


def gradient_with_copy(x: Any, cotangent: Any, target: Any) -> Any:
    """Row by row, of a copy of the logits."""
    return fused_gradient(x.copy(), cotangent, target)
