"""Tall batches, where grids end and integers of few bits wrap, batches that are no multiple of a vector, samples of one
position, and rows ignored in step: rows that are not reached, read twice, or counted though they are padding."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from lossproof.adapters.protocol import DTYPES, LOSSES, OPS, Problem
from lossproof.cases.deck_part import DeckPart
from lossproof.cases.drawn import drawn
from lossproof.cases.sizes.repeated_draws import repeated_bell, repeated_cotangent
from lossproof.core.call import Call
from lossproof.core.formats import F64, FORMATS

# Just over a chunk of 4096 and one of 8192, and a grid's end between them.
_TALL = (4097, 5000, 8193)
# A grid has at most 65 535 blocks on two of its axes.
_TALLEST = (65_537, 131_073)
# No multiples of 8.
_PADDED = (65, 99, 250, 501, 1001, 2047, 3001)
_SAMPLES = 1024
# Every other row, as in sequences of two, and the first of each packed sequence of 16: kernels that add rows in blocks
# do something at the ends of the blocks, and an ignored row may leave before that.
_STEPS = (2, 16)
_STEPPED, _IGNORED = (4112, 3), -100
_FAMILY = "long_batch"
# Families of special rows, of which a tall batch has one among ordinary rows, and the ops that they say something of.
_SPECIAL = {"masked_target": LOSSES, "ignored_garbage": LOSSES, "positive_infinity": ("cross_entropy",)}


def tall_batch_calls(dtype: str, part: DeckPart) -> Iterator[Call]:
    """Draw the calls of a dtype: every op on every height, reductions by turns."""
    turn = DTYPES.index(dtype)
    for i, op in enumerate(OPS):
        for j, n in enumerate((*_TALL, *_TALLEST)):
            # The mean first: chunks that each have a mean show in batches of a chunk and a few rows.
            reduction = "mean" if n in _TALL else ("none", "mean", "sum")[(i + j + turn) % 3]
            alone = n == _TALLEST[-1] and (i + turn) % 2 == 1
            shape = (n, 3 if n in _TALL else 2)
            if part.keeps(op, _FAMILY, dtype, shape):
                yield drawn(part, partial(_call, part, dtype, op, shape, reduction, "tall batch", gradient=not alone))
        if op not in LOSSES:
            continue
        for j, n in enumerate(_PADDED):
            reduction = "none" if (i + j + turn) % 4 == 0 else "mean"
            dense = (j + turn) % 3 == 0
            if part.keeps(op, _FAMILY, dtype, (n, 3)):
                yield drawn(
                    part, partial(_call, part, dtype, op, (n, 3), reduction, "padded batch", probabilities=dense)
                )
        for step in _STEPS:
            for reduction in ("mean", "sum"):
                if part.keeps(op, _FAMILY, dtype, _STEPPED):
                    yield drawn(part, partial(_stepped, part, dtype, op, step, reduction))
        for family, ops in _SPECIAL.items():
            for reduction in ("mean", "sum"):
                if op in ops and part.keeps(op, family, dtype, _STEPPED):
                    yield drawn(part, partial(_with_special_row, part, dtype, op, family, reduction))
        if part.keeps(op, _FAMILY, dtype, _STEPPED):
            yield drawn(part, partial(_weighted, part, dtype, op))
        # A kernel that adds samples of one position up one by one in the format stops counting at 2^precision.
        fmt = FORMATS[dtype]
        for k, reduction in ((2, "mean"), (2, "sum"), (3, "mean")) if fmt.is_narrow else ():
            n = max(_SAMPLES, 2 ** (fmt.precision + 1))
            if part.keeps(op, _FAMILY, dtype, (n, k, 1), axis=1):
                yield drawn(part, partial(_call, part, dtype, op, (n, k, 1), reduction, "samples of one position"))


def _rounded(x: F64, op: str, dtype: str) -> F64:
    """Numbers of a format: logits, or log-probabilities where the op takes them."""
    return FORMATS[dtype].round(-np.abs(x) if op == "nll_loss" else x)


def _stepped(part: DeckPart, dtype: str, op: str, step: int, reduction: str) -> Call:
    """One call whose rows are all ordinary, and of which each that is a multiple of ``step`` is ignored."""
    n, k = _STEPPED
    x = _rounded(repeated_bell(part.picker("rows ignored in step", op, step, reduction), _STEPPED), op, dtype)
    labels = np.arange(n) % k
    labels[::step] = _IGNORED
    problem = Problem(op, dtype, x, labels, cotangent=np.ones(()), reduction=reduction, ignore_index=_IGNORED)
    return Call(problem, _FAMILY, f"{part.provenance}, rows ignored in step", tier="free")


def _with_special_row(part: DeckPart, dtype: str, op: str, family: str, reduction: str) -> Call:
    """One call whose rows are ordinary, but for one in the middle: its label masked, itself ignored and no number, or
    with +inf beside its label."""
    n, k = _STEPPED
    pick = part.picker("special row in a tall batch", op, family, reduction)
    x = repeated_bell(pick, _STEPPED)
    labels, at = np.arange(n) % k, n // 2 + pick.integer(0, n // 4)
    if family == "masked_target":
        x[at, labels[at]] = -np.inf
    elif family == "positive_infinity":
        x[at, (labels[at] + 1) % k] = np.inf
    else:
        labels[at] = _IGNORED
        x[at] = pick.choice((np.nan, np.inf, -np.inf))
    x = _rounded(x, op, dtype)
    ignore_index = _IGNORED if family == "ignored_garbage" else None
    problem = Problem(op, dtype, x, labels, cotangent=np.ones(()), reduction=reduction, ignore_index=ignore_index)
    return Call(problem, family, f"{part.provenance}, special row in a tall batch", tier="free")


def _weighted(part: DeckPart, dtype: str, op: str) -> Call:
    """One call with the mean over the weights of its labels, which is not that over its rows."""
    n, k = _STEPPED
    x = _rounded(repeated_bell(part.picker("weights in a tall batch", op), _STEPPED), op, dtype)
    weight = np.array([0.5, 1.0, 0.75])
    problem = Problem(op, dtype, x, np.arange(n) % k, weight=weight, cotangent=np.ones(()), reduction="mean")
    return Call(problem, _FAMILY, f"{part.provenance}, weights in a tall batch", tier="free")


def _call(
    part: DeckPart,
    dtype: str,
    op: str,
    shape: tuple[int, ...],
    reduction: str,
    says: str,
    *,
    probabilities: bool = False,
    gradient: bool = True,
) -> Call:
    """One call. Its last rows have the largest losses by far, and no two tiles of rows are the same."""
    n, k = shape[:2]
    pick, fmt = part.picker("tall batch", op, shape, reduction), FORMATS[dtype]
    x = repeated_bell(pick, (n, k))
    labels = np.zeros(n, dtype=np.int64)
    labels[::64] = 1
    # Confident rows have small losses, whose sum is well within float16.
    x[:, 0] += 5.0
    last = [n - 1, n - 3]
    x[last, 0] += 720.0
    labels[last] = k - 1
    x = fmt.round(-np.abs(x - x.max(axis=1, keepdims=True)) if op == "nll_loss" else x).reshape(shape)
    if op not in LOSSES:
        problem = Problem(op, dtype, x, cotangent=repeated_cotangent(pick, fmt, shape) if gradient else None)
        return Call(problem, _FAMILY, f"{part.provenance}, {says}", tier="free")
    target = np.eye(k)[labels] if probabilities and op == "cross_entropy" else labels
    cotangent = np.resize([1.0, -0.5, 2.0], (n, *shape[2:])) if reduction == "none" else np.ones(())
    problem = Problem(
        op,
        dtype,
        x,
        target.reshape(shape if target.ndim > 1 else (n, *shape[2:])),
        cotangent=cotangent if gradient else None,
        axis=1 if len(shape) > 2 else -1,
        reduction=reduction,
    )
    return Call(problem, _FAMILY, f"{part.provenance}, {says}", tier="free")
