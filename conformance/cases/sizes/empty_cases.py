"""Empty problems: no rows, no classes, neither, crossed with ops, targets, reductions, ranks, and what is asked.

Specification, section 4, clause 10. Sizes of 0 have divided by 0 in kernels, which ends a process.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from lossproof.adapters.protocol import DTYPES, LOSSES, REDUCTIONS, Problem
from lossproof.cases.error_case import NO_CLASSES, ErrorCase
from lossproof.cases.signatures import WHOLE_IN
from lossproof.judging.error_judge import Reading

_K = 4
# By the place of the 0, with the class axis first in a row alone and second elsewhere.
_NO_ROWS = ((0, _K), (0, _K, 2), (2, _K, 0), (2, _K, 0, 3))
_NO_CLASSES = ((0,), (2, 0, 3), (2, 0, 3, 1), (2, 0, 1, 3, 1), (5, 0))
_NEITHER = ((0, 0, 3), (0, 0))
_KINDS = {"softmax": ("",), "log_softmax": ("",), "nll_loss": ("label",), "cross_entropy": ("label", "probabilities")}
# Other dtypes have every third problem.
_SKIP = 3


def empty_cases(op: str, dtype: str) -> Iterator[ErrorCase]:
    """Yield the cases of an op and dtype: two sizes in each dtype, then the others crossed, by turns but in one."""
    yield from _plain(op, dtype)
    for i, case in enumerate(_crossed(op, dtype)):
        if dtype == WHOLE_IN or (i + DTYPES.index(dtype)) % _SKIP == 0:
            yield case


def _plain(op: str, dtype: str) -> Iterator[ErrorCase]:
    """Matrices without rows and without classes."""
    none, no = np.zeros((0, _K)), np.zeros(0, dtype=np.int64)
    if op not in LOSSES:
        p = Problem(op, dtype, none, cotangent=none)
        yield ErrorCase("no-rows", "10", "no rows: an empty result", p, (Reading("", ((1.0, p),)),), errors=False)
        flat = np.zeros((2, 0))
        p = Problem(op, dtype, flat, cotangent=flat)
        yield ErrorCase(NO_CLASSES, "10", "no classes: an empty result or an error", p, (Reading("empty"),))
        return
    for reduction in REDUCTIONS:
        cot = np.zeros(0) if reduction == "none" else np.ones(())
        p = Problem(op, dtype, none, no, cotangent=cot, reduction=reduction)
        says = {"none": "an empty result", "sum": "0", "mean": "NaN"}[reduction]
        fill = (Reading("", fill=0.0 if reduction == "sum" else np.nan),)
        yield ErrorCase(f"no-rows-{reduction}", "10", f"no rows, reduction {reduction}: {says}", p, fill, errors=False)
    p = Problem(op, dtype, np.zeros((2, 0)), np.array([0, 0]), reduction="none")
    yield ErrorCase(NO_CLASSES, "10", "no classes: no label exists", p, (Reading("nan"),))


def _crossed(op: str, dtype: str) -> Iterator[ErrorCase]:
    """Value alone, and with the gradient: a kernel of the value may be right where that of the gradient is not."""
    for what, shapes in (("no-rows", _NO_ROWS), (NO_CLASSES, _NO_CLASSES), ("nothing", _NEITHER)):
        for shape in shapes:
            for kind in _KINDS[op]:
                for reduction in REDUCTIONS if kind else ("mean",):
                    for gradient in (False, True):
                        yield _case(what, Problem(op, dtype, np.zeros(shape)), kind, reduction, gradient=gradient)


def _case(what: str, bare: Problem, kind: str, reduction: str, *, gradient: bool) -> ErrorCase:
    shape = bare.x.shape
    axis = min(1, len(shape) - 1)
    rows = shape[:axis] + shape[axis + 1 :]
    target = None if not kind else np.zeros(rows, np.int64) if kind == "label" else np.zeros(shape)
    p = Problem(bare.op, bare.dtype, bare.x, target, axis=axis if len(shape) > 2 else -1, reduction=reduction)
    if gradient:
        p = replace(p, cotangent=np.ones(p.shape_of("value")))
    name = "-".join((what, "gradient" if gradient else "value", *([kind, reduction] if kind else [])))
    says = f"{what.replace('-', ' ')}, shape {shape}"
    if what == NO_CLASSES:
        return ErrorCase(name, "10", says, p, _without_classes(kind))
    specified = what == "no-rows"
    return ErrorCase(name, "10", says, p, (_without_rows(p, "" if specified else "empty"),), errors=not specified)


def _without_rows(p: Problem, shown: str) -> Reading:
    """None is empty, a sum is 0, a mean NaN."""
    return Reading(shown, fill=0.0 if p.reduction == "sum" else np.nan)


def _without_classes(kind: str) -> tuple[Reading, ...]:
    """Nothing to be filled but losses: there is no class that a label could name, and a sum over no class is 0."""
    if not kind:
        return (Reading("empty"),)
    nothing = Reading("0", fill=0.0, needs="" if kind == "probabilities" else "zeroes_unknown_labels")
    return (Reading("nan", outputs=("value",)), nothing, Reading("empty", outputs=("vjp",)))
