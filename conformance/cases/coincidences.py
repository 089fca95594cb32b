"""Calls made by hand for coincidences of values, which independent draws meet too rarely."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from lossproof.adapters.protocol import LOSSES, OPS, REDUCTIONS, Problem
from lossproof.core.call import Call
from lossproof.core.formats import FORMATS

_K = 4
# Where a sentinel goes.
_HERE = -(2**40)


def coincidence_calls(dtype: str) -> Iterator[Call]:
    """Make the calls of a dtype, in the deck's smallest shapes; they go where a new signature costs nothing."""
    yield from _weightless_nan(dtype)
    yield from _ignored_beside_class_zero(dtype)
    yield from _two_classes(dtype)
    yield from _negative_infinity(dtype)
    yield from _edge_of_the_range(dtype)
    yield from _rounded_targets(dtype)
    yield from _weightless_mean(dtype)
    yield from _zero_cotangent(dtype)
    yield from _far_ahead(dtype)


def _far_ahead(dtype: str) -> Iterator[Call]:
    """A class far ahead of another, and the cotangent or the label there: 1 - p and -log p are small, normal numbers
    (the grade of docs/bounds.md, section 9)."""
    gap = 40.0 if FORMATS[dtype].emin < -40 else 8.0
    x, ahead = np.array([[gap, 0.0], [0.0, gap]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    for op in ("softmax", "log_softmax"):
        yield _call(Problem(op, dtype, x, cotangent=ahead), "confident", "the cotangent of the class ahead")
    problem = Problem("cross_entropy", dtype, x, np.array([0, 1]), cotangent=np.array([1.0, -0.5]), reduction="none")
    yield _call(problem, "confident", "the label is the class ahead")


def _zero_cotangent(dtype: str) -> Iterator[Call]:
    """A cotangent of 0, what a loss sends back that a branch has left out: the gradient is 0."""
    x, labels = -np.array([[1.0, 2.0, 0.5], [0.25, 3.0, 1.0]]), np.array([2, 1])
    for op in OPS:
        if op not in LOSSES:
            yield _call(Problem(op, dtype, x, cotangent=np.zeros(x.shape)), "ordinary", "a cotangent of 0")
            yield _call(Problem(op, dtype, x, cotangent=np.zeros(x.shape), axis=0), "ordinary", "a cotangent of 0")
            continue
        for reduction in REDUCTIONS:
            zero = np.zeros(2 if reduction == "none" else ())
            yield _call(Problem(op, dtype, x, labels, None, zero, reduction=reduction), "ordinary", "a cotangent of 0")


def _rounded_targets(dtype: str) -> Iterator[Call]:
    """Targets that sum to 1 but for rounding, alone and beside targets of another sum: they have one gradient
    (specification, section 3)."""
    fmt = FORMATS[dtype]
    x = np.array([[0.5, -1.0, 2.0], [1.0, 0.0, -0.5]])
    rounded, half = fmt.round(np.array([0.2, 0.3, 0.5])), np.array([0.25, 0.0, 0.25])
    weight, cotangent = np.array([0.5, 2.0, 3.0]), np.array([1.0, -0.5])
    for rows, says in (([rounded, rounded], "targets rounded"), ([half, rounded], "rounded beside others")):
        problem = Problem("cross_entropy", dtype, x, np.array(rows), weight, cotangent, reduction="none")
        yield _call(problem, "ordinary", says)
        yield _call(replace(problem, weight=None), "ordinary", says)


def _weightless_mean(dtype: str) -> Iterator[Call]:
    """A mean over labels of weight 0 is NaN where a row is (clauses 1 and 10)."""
    x = -np.array([[1.0, 2.0, 0.5], [0.25, np.nan, 1.0], [2.0, 1.0, 1.5]])
    weight, labels = np.array([0.0, 0.0, 2.0]), np.array([0, 1, 1])
    for op in LOSSES:
        yield _call(Problem(op, dtype, x, labels, weight, np.array(1.0)), "nan_row", "all labels weigh 0")


def _two_classes(dtype: str) -> Iterator[Call]:
    """Smoothing and weights without a reduction, where kernels for two classes are apart."""
    x = np.array([[0.5, -1.0], [2.0, 0.0], [-0.25, 1.0]])
    problem = Problem("cross_entropy", dtype, x, np.array([0, 1, 1]), weight=np.array([0.5, 3.0]), reduction="none")
    yield _call(replace(problem, label_smoothing=0.1, cotangent=np.array([1.0, -0.5, 2.0])), "ordinary", "two classes")


def _negative_infinity(dtype: str) -> Iterator[Call]:
    """A masked label of negative weight: the loss is -inf (specification, section 4, clause 5)."""
    x = np.array([[-np.inf, 1.0, 0.0, 2.0], [0.5, 1.0, -1.0, 0.0]])
    weight = np.array([-2.0, 1.0, 0.5, 3.0])
    for op in LOSSES:
        logits = np.where(np.isinf(x), x, -np.abs(x)) if op == "nll_loss" else x
        problem = Problem(op, dtype, logits, np.array([0, 1]), weight=weight, reduction="none")
        yield _call(replace(problem, cotangent=np.array([1.0, -0.5])), "masked_target", "a masked label, weight -2")


def _edge_of_the_range(dtype: str) -> Iterator[Call]:
    """Results and sums beyond the largest number: infinite, or NaN, but no finite number (clause 7)."""
    fmt = FORMATS[dtype]
    x = np.array([[fmt.max, -fmt.max, 0.0, 0.0], [0.0, 0.5, 1.0, -1.0]])
    yield _call(Problem("log_softmax", dtype, x), "near_overflow", "log p beyond the largest number")
    if not fmt.is_narrow:
        weight = np.full(_K, 2.0 ** (fmt.emax - 1))
        problem = Problem("cross_entropy", dtype, np.ones((3, _K)), np.array([0, 1, 2]), weight=weight)
        yield _call(problem, "equal", "weights whose sum overflows")


def _call(problem: Problem, family: str, says: str) -> Call:
    return Call(problem, family, says, tier="free")


def _weightless_nan(dtype: str) -> Iterator[Call]:
    """A weight of 0 does not excuse a NaN (specification, section 4, clause 1)."""
    weight = np.array([0.0, 2.0, 0.5, 1.0])
    for op in LOSSES:
        for reduction in ("none", "sum", "mean"):
            x = -np.array([[1.0, 2.0, 0.5, 3.0], [0.25, 4.0, 1.0, 2.0], [2.0, 1.0, 1.5, 0.5]])
            x[0, 0] = np.nan
            cotangent = np.array([1.0, -0.5, 2.0]) if reduction == "none" else np.ones(())
            problem = Problem(
                op, dtype, x, np.array([0, 1, 3]), weight=weight, cotangent=cotangent, reduction=reduction
            )
            yield _call(problem, "nan_row", "the label of weight 0 is NaN")


def _ignored_beside_class_zero(dtype: str) -> Iterator[Call]:
    """Ignored rows first, last and between rows of class 0, where a label that is replaced by 0 may be counted.

    Label K has the flat index of class 0 in the next row, label -1 that of the last class in the row before.
    """
    x = np.array([[3.0, 0.0, -1.0, 1.0], [0.5, 2.0, -2.0, 0.0], [8.0, -1.0, 0.5, 0.0], [1.0, 1.5, -0.5, 2.0]])
    for op in LOSSES:
        for reduction, labels in (
            ("mean", [_HERE, 0, _HERE, 0]),
            ("sum", [0, _HERE, 0, _HERE]),
            ("none", [_HERE, 0, 0, _HERE]),
        ):
            for ignore in (-100, _K, -1):
                cotangent = np.array([1.0, -0.5, 2.0, 3.0]) if reduction == "none" else np.ones(())
                problem = Problem(
                    op,
                    dtype,
                    -np.abs(x) if op == "nll_loss" else x,
                    np.where(np.array(labels) == _HERE, ignore, labels),
                    cotangent=cotangent,
                    reduction=reduction,
                    ignore_index=ignore,
                )
                yield _call(problem, "ordinary", "ignored rows next to class 0")
