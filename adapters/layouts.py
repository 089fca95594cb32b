"""Equal arrays that lie differently in memory: the rows of ``LAYOUTS`` as plans of strides, for NumPy and PyTorch.

A plan is a buffer, where in it the first entry lies, and strides; all are counted in entries. What the buffer holds
between the entries is NaN, or in an array of labels one that no row has, so that a kernel that reads past its strides
shows it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Dict, List, Tuple

import numpy as np

from .protocol import Problem, UnsupportedProblem


@dataclass(frozen=True)
class Plan:
    """``shape`` at ``strides`` from ``offset`` in a buffer of ``size`` entries; the axes ``expand`` are repeated."""

    size: int
    offset: int
    shape: Tuple[int, ...]
    strides: Tuple[int, ...]
    expand: Tuple[int, ...] = ()


def plan(layout: str, shape: Tuple[int, ...], repeated: Tuple[int, ...] = ()) -> Plan:
    """Plan a layout of a shape. ``repeated`` are the axes that ``expanded`` repeats.

    ``gapped`` leaves room for one entry after each run along the last axis, as a slice of a wider array does.
    """
    order = list(range(len(shape)))
    offset, spare = 0, 0
    expand: Tuple[int, ...] = ()
    if layout == "transposed" and len(shape) > 1:
        order[-2:] = order[-1], order[-2]
    elif layout == "fortran":
        order.reverse()
    elif layout == "offset":
        offset, spare = 1, 1
    elif layout == "expanded":
        if not repeated:
            raise UnsupportedProblem("layout expanded needs an axis along which the array is constant; it has none")
        expand = repeated
        shape = tuple(min(1, n) if i in repeated else n for i, n in enumerate(shape))
    dense = (*shape[:-1], shape[-1] + 1) if layout == "gapped" and shape else shape
    size = int(np.prod(dense))
    strides = _strides(dense, order)
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
    """Plan the arrays of a problem that are laid out: the one that is named, or the input and the cotangent.

    Of an array that is named, ``expanded`` repeats every axis along which it is constant; of the other two it repeats
    the first axis of rows, and a cotangent that differs along it stays as it is. An array without axes has no layout.
    """
    if problem.layout == "contiguous":
        return {}
    if problem.laid:
        a = getattr(problem, problem.laid)
        if a is None or not a.ndim:
            raise UnsupportedProblem("layout %s of %s: there is no such array" % (problem.layout, problem.laid))
        constant = tuple(i for i in range(a.ndim) if _constant(a, i))
        return {problem.laid: plan(problem.layout, a.shape, constant)}
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
        plans[name] = plan(problem.layout, a.shape, () if rows is None else (rows,))
    return plans


def _constant(a: np.ndarray, axis: int) -> bool:
    first = a.take([0], axis=axis) if a.shape[axis] else a
    return bool(np.all((a == first) | ((a != a) & (first != first))))


def _between(a: np.ndarray) -> float:
    """Return what lies between the entries of an array."""
    return float("nan") if a.dtype.kind == "f" else next(i for i in itertools.count() if i not in a)


def _first(p: Plan, name: str) -> str:
    """Write the part of an array that lies in the buffer."""
    if not p.expand:
        return name
    return "%s[%s]" % (name, ", ".join(":%d" % n if i in p.expand else ":" for i, n in enumerate(p.shape)))


def lay(a: Any, plan: Plan) -> Any:
    """Lay out a contiguous array of NumPy or PyTorch: a copy of it in a buffer of its own."""
    few = tuple(slice(n) for n in plan.shape)
    if isinstance(a, np.ndarray):
        buffer = np.full(plan.size, _between(a), a.dtype)
        strides = [s * buffer.itemsize for s in plan.strides]
        laid: Any = np.lib.stride_tricks.as_strided(buffer[plan.offset :], plan.shape, strides)
        laid[...] = a[few]
        return np.broadcast_to(laid, a.shape) if plan.expand else laid
    between = float("nan") if a.is_floating_point() else _between(a.cpu().numpy())
    laid = a.new_full((plan.size,), between).as_strided(plan.shape, plan.strides, plan.offset)
    laid.copy_(a[few])
    return laid.expand(a.shape) if plan.expand else laid


def torch_source(problem: Problem) -> List[str]:
    """Write the lines of a program that lay out the tensors of a problem."""
    out = []
    for name, p in of_problem(problem).items():
        repeat = ".expand(%s.shape)" % name if p.expand else ""
        between = _between(getattr(problem, name))
        buffer = "%s.new_full((%d,), %s)" % (name, p.size, "float('nan')" if between != between else between)
        values = name, buffer, p.shape, p.strides, p.offset, _first(p, name), repeat
        out.append("%s = %s.as_strided(%r, %r, %d).copy_(%s)%s" % values)
    return out


def numpy_source(problem: Problem) -> List[str]:
    """Write the lines of a program that lay out the NumPy arrays of a problem."""
    out = []
    for name, p in of_problem(problem).items():
        between = _between(getattr(problem, name))
        out += [
            "buffer = np.full(%d, %s, %s.dtype)" % (p.size, "np.nan" if between != between else between, name),
            "laid = np.lib.stride_tricks.as_strided(buffer[%d:], %r, [s * buffer.itemsize for s in %r])"
            % (p.offset, p.shape, p.strides),
            "laid[...] = %s" % _first(p, name),
            "%s = %s" % (name, "np.broadcast_to(laid, %s.shape)" % name if p.expand else "laid"),
        ]
    return out
