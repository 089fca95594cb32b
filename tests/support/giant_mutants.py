"""Wrong implementations of giant problems: each is NumPy's adapter with one limit that it does not know of.

Limits are small here, so that milliseconds show what takes gigabytes elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from lossproof.adapters.given import Given
from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.numpy_giant import NumpyGiant
from lossproof.adapters.protocol import Problem, Tensor
from lossproof.cases.sweeps.giants import Limits
from lossproof.core.formats import F64, FORMATS

SMALL = Limits(elements=1 << 10, far=1 << 11, grid=63, exact=1 << 7, growth=1)
Compute = Callable[[Problem, Given], dict[str, Any]]
Wrong = Callable[[Compute, Problem, Given], dict[str, Any]]


class WrongGiant(NumpyGiant):
    """A giant driver with one wrong step."""

    def __init__(self, adapter: NumpyAdapter, wrong: Wrong) -> None:
        super().__init__(adapter.evaluate)
        self.wrong = wrong

    def compute(self, problem: Problem, given: Given, device: str, mode: str) -> dict[str, Any]:
        """Compute wrongly."""
        right = super().compute
        return self.wrong(lambda p, g: right(p, g, device, mode), problem, given)


def adapter_of(wrong: Wrong) -> NumpyAdapter:
    """NumPy's adapter with a wrong step."""
    adapter = NumpyAdapter()
    adapter.giant = WrongGiant(adapter, wrong)
    return adapter


def _aliased(limit: int) -> Wrong:
    """An element at a flat index from the limit on is read where its lower bits point."""

    def wrong(right: Compute, p: Problem, g: Given) -> dict[str, Any]:
        flat = g.x.reshape(-1)
        return right(p, replace(g, x=flat[np.arange(flat.size) % limit].reshape(g.x.shape)))

    return wrong


def _unwritten(limit: int) -> Wrong:
    """A result at a flat index from the limit on is never written."""

    def wrong(right: Compute, p: Problem, g: Given) -> dict[str, Any]:
        return _changed(right(p, g), p, lambda a: a.reshape(-1)[limit:].fill(0.0))

    return wrong


def _rows_left_out(most: int) -> Wrong:
    """A grid has so many blocks of a row each; what is beyond is not computed."""

    def wrong(right: Compute, p: Problem, g: Given) -> dict[str, Any]:
        return _changed(right(p, g), p, lambda a: a[most:].fill(0.0))

    return wrong


def _classes_left_out(limit: int) -> Wrong:
    """The loop over classes ends at the limit: those from there on are not in the sum."""

    def wrong(right: Compute, p: Problem, g: Given) -> dict[str, Any]:
        x = g.x.copy()
        x[:, limit:] = -np.inf
        return right(p, replace(g, x=x))

    return wrong


def _wrapped_labels(limit: int) -> Wrong:
    """A label from the limit on is taken for that of its lower bits."""

    def wrong(right: Compute, p: Problem, g: Given) -> dict[str, Any]:
        return right(p, replace(g, target=g.target % limit))

    return wrong


def _rounded_labels(exact: int) -> Wrong:
    """Labels are held in a format that has only even numbers from here on."""

    def wrong(right: Compute, p: Problem, g: Given) -> dict[str, Any]:
        return right(p, replace(g, target=np.where(g.target > exact, g.target // 2 * 2, g.target)))

    return wrong


def _stagnating(exact: int, *, ignored: bool) -> Wrong:
    """The rows of the mean's denominator, or the ignored ones, which are taken off it, are counted one by one in a
    format in which the count stops growing."""

    def wrong(right: Compute, p: Problem, g: Given) -> dict[str, Any]:
        # sanity check: a loss with labels
        assert g.target is not None
        kept = int((g.target != p.ignore_index).sum())
        rows = len(g.target)
        count = rows - min(rows - kept, exact) if ignored else min(kept, exact)
        return {
            name: Tensor(FORMATS[p.dtype].round(t.data * (kept / count)), t.dtype) for name, t in right(p, g).items()
        }

    return wrong


def _missing(right: Compute, p: Problem, g: Given) -> dict[str, Any]:
    """One row in the middle is NaN."""

    def spoil(a: F64) -> None:
        a[len(a) // 2] = np.nan

    return _changed(right(p, g), p, spoil)


def _changed(out: dict[str, Any], p: Problem, change: Callable[[F64], Any]) -> dict[str, Any]:
    for t in out.values():
        if t.data.ndim:
            change(t.data)
    return out


# What is wrong, the case that is after it, and an op that shows it.
MUTANTS: dict[str, tuple[Wrong, str, str]] = {
    "elements-read-by-31-bits": (_aliased(SMALL.elements), "elements", "softmax"),
    "elements-written-by-31-bits": (_unwritten(SMALL.elements), "elements", "log_softmax"),
    "elements-read-by-32-bits": (_aliased(SMALL.far), "far", "cross_entropy"),
    "elements-written-by-32-bits": (_unwritten(SMALL.far), "far", "softmax"),
    "rows-beyond-a-grid": (_rows_left_out(SMALL.grid), "grid", "cross_entropy"),
    "rows-beyond-2^24": (_rows_left_out(SMALL.exact), "elements", "softmax"),
    "classes-beyond-31-bits": (_classes_left_out(SMALL.elements), "classes", "softmax"),
    "classes-read-by-31-bits": (_aliased(SMALL.elements), "classes", "log_softmax"),
    "labels-of-31-bits": (_wrapped_labels(SMALL.elements), "classes", "cross_entropy"),
    "labels-in-float32": (_rounded_labels(SMALL.exact), "labels", "nll_loss"),
    "count-in-float32": (_stagnating(SMALL.exact, ignored=False), "counts", "cross_entropy"),
    "count-of-nll-in-float32": (_stagnating(SMALL.exact, ignored=False), "counts", "nll_loss"),
    "ignored-rows-in-float32": (_stagnating(SMALL.exact, ignored=True), "counts", "cross_entropy"),
    "one-row-missing": (_missing, "elements", "softmax"),
}
