"""Equal arrays that lie differently in memory: the rows of ``LAYOUTS`` as plans of strides, for NumPy and PyTorch.

A plan is a buffer, where in it the first entry lies, and strides; all are counted in entries. What the buffer holds
between the entries is NaN, so that a kernel that reads past its strides shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from .protocol import Problem, UnsupportedProblem


@dataclass(frozen=True)
class Plan:
    """``shape`` at ``strides`` from ``offset`` in a buffer of ``size`` entries; then ``expand`` is repeated, if any."""

    size: int
    offset: int
    shape: Tuple[int, ...]
    strides: Tuple[int, ...]
    expand: Optional[int] = None


def plan(layout: str, shape: Tuple[int, ...], rows: Optional[int] = None) -> Plan:
    """Plan a layout of a shape. ``rows`` is the axis that ``expanded`` repeats."""
    order = list(range(len(shape)))
    offset, spare, expand = 0, 0, None
    if layout == "transposed" and len(shape) > 1:
        order[-2:] = order[-1], order[-2]
    elif layout == "fortran":
        order.reverse()
    elif layout == "offset":
        offset, spare = 1, 1
    elif layout == "expanded":
        if rows is None:
            raise UnsupportedProblem("layout expanded needs an axis besides the class axis; this array has none")
        expand = rows
        shape = (*shape[:rows], min(1, shape[rows]), *shape[rows + 1 :])
    size = int(np.prod(shape))
    strides = _strides(shape, order)
    if layout == "stepped":
        size, strides = 2 * size, tuple(2 * s for s in strides)
    elif layout == "reversed":
        offset = max(0, size - 1)
        strides = tuple(-s for s in strides)
    return Plan(size + spare, offset, shape, strides, expand)


def _strides(shape: Tuple[int, ...], order: List[int]) -> Tuple[int, ...]:
    """Return the strides of a dense array whose axes lie in memory in ``order``, the last one fastest."""
    strides, step = [0] * len(shape), 1
    for axis in reversed(order):
        strides[axis] = step
        step *= shape[axis]
    return tuple(strides)


def of_problem(problem: Problem) -> Dict[str, Plan]:
    """Plan the arrays of a problem that are laid out: the input, and a cotangent of more than one entry.
    A cotangent that differs along the axis that ``expanded`` repeats stays as it is.
    """
    if problem.layout == "contiguous":
        return {}
    axis = problem.axis % problem.x.ndim
    plans = {}
    for name, a in (("x", problem.x), ("cotangent", problem.cotangent)):
        if a is None or not a.ndim:
            continue
        # Where the class axis is reduced away, every axis is one of rows.
        rows = next((i for i in range(a.ndim) if i != axis or a.ndim < problem.x.ndim), None)
        if problem.layout == "expanded" and rows is not None and not _constant(a, rows):
            if name == "x":
                raise UnsupportedProblem("layout expanded needs logits that are constant along axis %d" % rows)
            continue
        plans[name] = plan(problem.layout, a.shape, rows)
    return plans


def _constant(a: np.ndarray, axis: int) -> bool:
    first = a.take([0], axis=axis) if a.shape[axis] else a
    return bool(np.all((a == first) | (np.isnan(a) & np.isnan(first))))


def lay(a: Any, plan: Plan) -> Any:
    """Lay out a contiguous array of NumPy or PyTorch: a copy of it in a buffer of its own."""
    if isinstance(a, np.ndarray):
        buffer = np.full(plan.size, np.nan, a.dtype)
        strides = [s * buffer.itemsize for s in plan.strides]
        laid: Any = np.lib.stride_tricks.as_strided(buffer[plan.offset :], plan.shape, strides)
        laid[...] = a if plan.expand is None else a.take(range(plan.shape[plan.expand]), axis=plan.expand)
        return laid if plan.expand is None else np.broadcast_to(laid, a.shape)
    laid = a.new_full((plan.size,), float("nan")).as_strided(plan.shape, plan.strides, plan.offset)
    laid.copy_(a if plan.expand is None else a.narrow(plan.expand, 0, plan.shape[plan.expand]))
    return laid if plan.expand is None else laid.expand(a.shape)


def torch_source(problem: Problem) -> List[str]:
    """Write the lines of a program that lay out the tensors of a problem."""
    out = []
    for name, p in of_problem(problem).items():
        source = name if p.expand is None else "%s.narrow(%d, 0, %d)" % (name, p.expand, p.shape[p.expand])
        repeat = "" if p.expand is None else ".expand(%s.shape)" % name
        buffer = "%s.new_full((%d,), float('nan'))" % (name, p.size)
        out.append(
            "%s = %s.as_strided(%r, %r, %d).copy_(%s)%s" % (name, buffer, p.shape, p.strides, p.offset, source, repeat)
        )
    return out


def numpy_source(problem: Problem) -> List[str]:
    """Write the lines of a program that lay out the NumPy arrays of a problem."""
    out = []
    for name, p in of_problem(problem).items():
        first = name if p.expand is None else "%s.take(range(%d), axis=%d)" % (name, p.shape[p.expand], p.expand)
        out += [
            "buffer = np.full(%d, np.nan, %s.dtype)" % (p.size, name),
            "laid = np.lib.stride_tricks.as_strided(buffer[%d:], %r, [s * buffer.itemsize for s in %r])"
            % (p.offset, p.shape, p.strides),
            "laid[...] = %s" % first,
            "%s = %s" % (name, "laid" if p.expand is None else "np.broadcast_to(laid, %s.shape)" % name),
        ]
    return out
