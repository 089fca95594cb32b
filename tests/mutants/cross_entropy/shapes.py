"""Mutants of cross_entropy that depend on axes, on the number of rows, or on there being any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.mutants.kit.clause_kit import of_loss
from tests.mutants.kit.entries import DENSE, INDEX, SIBLING, loss_bug
from tests.mutants.kit.loss_mistakes import counted
from tests.mutants.kit.loss_steps import CORRECT, Case, Loss, sum_of_weights
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.softmax_steps import PLAIN, Array


def _last_axis_only(x: Array, *, axis: int = -1, **keywords: Any) -> Array:
    return Loss().value(x, axis=-1, **keywords)


def _no_3d(case: Case) -> Case:
    if case.labels is not None and case.x.ndim > 2:
        raise ValueError("operands could not be broadcast together")
    return case


def _empty_raises(case: Case) -> Case:
    if case.x.size == 0:
        raise ValueError("empty batch")
    return case


def _classes_for_rows(case: Case) -> Array:
    return counted(case, case.k) if case.x.ndim == 1 else sum_of_weights(case)


def _empty(reduction: str, answer: Array) -> Any:
    """Another answer to a batch without rows."""

    def value(x: Array, **options: Any) -> Array:
        out = CORRECT.value(x, **options)
        empty = x.size == 0 and x.shape[options.get("axis", -1)] > 0
        return answer.astype(x.dtype) if empty and options["reduction"] == reduction else out

    return value


def _no_class(number: float, applies: Callable[[Array, str], bool]) -> Any:
    """A number where there is no class, for some targets and reductions."""

    def value(x: Array, **options: Any) -> Array:
        target, reduction = options["target"], options["reduction"]
        if x.shape[options.get("axis", -1)] == 0 and applies(target, reduction):
            axis = options.get("axis", -1) % x.ndim
            rows = x.shape[:axis] + x.shape[axis + 1 :]
            return np.full(rows if reduction == "none" else (), number, x.dtype)
        return CORRECT.value(x, **options)

    return value


def _has_labels(target: Array) -> bool:
    return target.dtype.kind == "i" and target.size > 0


def _flattened_wrongly(x: Array, *, axis: int = -1, **options: Any) -> Array:
    at = axis % x.ndim
    moved = np.moveaxis(x, at, -1).shape
    return Loss().value(np.ascontiguousarray(x).reshape(moved), axis=-1, **_targets(options, at, moved))


def _targets(options: dict[str, Any], axis: int, shape: tuple[int, ...]) -> dict[str, Any]:
    target = options["target"]
    # sanity check: losses have targets
    assert isinstance(target, np.ndarray)
    return options | {"target": np.moveaxis(target, axis, -1) if target.dtype.kind == "f" else target}


def _wrapped_rows(y: Array) -> Array:
    flat = y.reshape(-1, y.shape[-1])
    offset = (np.arange(len(flat)) * y.shape[-1]) % 2**16 // max(y.shape[-1], 1)
    return flat[offset].reshape(y.shape)


MUTANTS: tuple[Mutant, ...] = (
    loss_bug(
        "class axis always last",
        "axis is accepted and not used",
        "keras3-sparse-axis-squeeze (keras-team/keras#21097)",
        Loss(),
        value=_last_axis_only,
    ),
    loss_bug(
        "index targets for two axes only",
        "the one-hot axis is appended at the end: (N, C, d) does not broadcast",
        "tinygrad-cross-entropy-kd-indices (tinygrad/tinygrad#10985)",
        Loss(read=_no_3d),
    ),
    loss_bug(
        "error on an empty batch",
        "N = 0 raises instead of giving 0, nothing or NaN",
        "torch-nll-empty-batch-raises (pytorch/pytorch#15870)",
        Loss(read=_empty_raises),
    ),
    of_loss(
        "2-one-row",
        "a (K,) input counts as K rows",
        "the first axis is taken for the batch",
        Loss(denominator=_classes_for_rows),
    ),
    of_loss(
        "4.10-empty-none",
        "one loss for an empty batch",
        "a batch has at least one row, it is assumed",
        value=_empty("none", np.zeros(1)),
    ),
    of_loss(
        "4.10-empty-sum",
        "NaN for the sum of an empty batch",
        "the sum is the mean times the count",
        value=_empty("sum", np.array(np.nan)),
    ),
    of_loss(
        "4.10-empty-mean",
        "0 for the mean of an empty batch",
        "a guard against division by zero",
        value=_empty("mean", np.array(0.0)),
    ),
    of_loss(
        "4.10-no-classes-label",
        "loss 0 without classes",
        "a label of K = 0 classes is answered with 0",
        value=_no_class(0.0, lambda target, reduction: _has_labels(target) and reduction == "none"),
        targets=INDEX,
    ),
    of_loss(
        "4.10-no-classes-probabilities",
        "loss +inf without classes",
        "minus the logarithm of an empty sum",
        value=_no_class(np.inf, lambda target, reduction: target.dtype.kind == "f" and reduction == "none"),
        targets=DENSE,
    ),
    of_loss(
        "4.10-no-classes-reduced",
        "sum and mean 1 without classes",
        "memory that is not written",
        value=_no_class(
            1.0, lambda target, reduction: reduction != "none" and (target.dtype.kind == "f" or _has_labels(target))
        ),
    ),
    of_loss(
        "4.10-nothing",
        "mean 0 of nothing",
        "neither rows nor classes: a guard against division by zero",
        value=_no_class(0.0, lambda target, reduction: reduction == "mean" and not target.size and target.ndim > 0),
        targets=INDEX,
    ),
    loss_bug(
        "axes flattened in the wrong order",
        "the storage is read as (N, K) whatever the class axis",
        SIBLING + "keras3-sparse-axis-squeeze",
        Loss(),
        value=_flattened_wrongly,
    ),
    loss_bug(
        "row offset in 16 bits",
        "the row's offset i K is held in 16 bits and wraps at 65536: an index overflow scaled down",
        SIBLING + "torch-cuda-softmax-over-2^32, torch-cuda-nll2d-backward-int32, paddle-softmax-ce-int32-overflow",
        Loss(logp=lambda x: _wrapped_rows(PLAIN.y(x)), prob=lambda x: _wrapped_rows(PLAIN.p(x))),
        targets=INDEX,
        expect=("float16",),
    ),
)
