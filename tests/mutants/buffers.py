"""Mutants that write where their inputs lie, in the forward or in the backward pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from .kit.entries import DENSE, INDEX, bug, loss_bug
from .kit.loss_steps import NLL, Loss
from .kit.mutant import Mutant
from .kit.softmax_steps import PLAIN, Array, Function, over_rows, over_rows_vjp, vjp_log_softmax, vjp_softmax


def _result_in_place(x: Array, *, axis: int = -1) -> Array:
    x[...] = over_rows(PLAIN.p)(x, axis=axis)
    return x.copy()


def _stores_p(x: Array, *, axis: int = -1, **keywords: Any) -> Array:
    value = Loss().value(x, axis=axis, **keywords)
    x[...] = over_rows(PLAIN.p)(x, axis=axis)
    return value


_SOURCE = "sibling of unsloth-inplace-logits (unslothai/unsloth#5002)"
_WHY = "the gradient is stored where the logits were, and a second backward pass takes it for them"


def _gradient_in_place(correct: Function) -> Function:
    kept: list[Array] = []

    def grad(x: Array, cotangent: Array, **keywords: Any) -> Array:
        if kept and kept[0] is x:
            return correct(kept[1], cotangent, **keywords)
        result = correct(x, cotangent, **keywords)
        kept[:] = [x, result.copy()]
        return result

    return grad


_AGAIN = "the saved gradient is scaled by the cotangent in place, by each backward pass once more"
_OVERWRITES = "an operation writes into a tensor that it was given"
_GRADIENTS = (
    over_rows_vjp(lambda x, v: vjp_softmax(PLAIN.p(x), v)),
    over_rows_vjp(lambda x, v: vjp_log_softmax(PLAIN.p(x), v)),
)


def _scaled_again(correct: Function) -> Function:
    kept: list[Array] = []

    def grad(x: Array, cotangent: Array, **keywords: Any) -> Array:
        again = bool(kept) and kept[0] is x
        kept[:] = [x]
        result = correct(x, cotangent, **keywords)
        return (result * (1 + np.abs(cotangent).max(initial=0))).astype(result.dtype) if again else result

    return grad


def _log_result_in_place(x: Array, *, axis: int = -1) -> Array:
    x[...] = over_rows(PLAIN.y)(x, axis=axis)
    return x.copy()


def _labels_in_place(of: Loss) -> Function:
    def value(x: Array, *, target: Array, ignore_index: int | None = None, **keywords: Any) -> Array:
        result = of.value(x, target=target, ignore_index=ignore_index, **keywords)
        if ignore_index is not None:
            target[target == ignore_index] = 0
        return result

    return value


def _targets_in_place(
    x: Array, *, target: Array, label_smoothing: float = 0.0, axis: int = -1, **keywords: Any
) -> Array:
    result = Loss().value(x, target=target, label_smoothing=label_smoothing, axis=axis, **keywords)
    target[...] = target * (1 - label_smoothing) + label_smoothing / x.shape[axis]
    return result


MUTANTS: tuple[Mutant, ...] = (
    bug(
        "softmax",
        "result stored in the logits",
        "the forward pass overwrites its input, from which the backward pass recomputes",
        "unsloth-inplace-logits (unslothai/unsloth#5002)",
        _result_in_place,
        over_rows_vjp(lambda x, v: vjp_softmax(PLAIN.p(x), v)),
    ),
    loss_bug(
        "softmax stored in the logits",
        "the forward pass overwrites the logits, from which the backward pass recomputes",
        "unsloth-inplace-logits (unslothai/unsloth#5002)",
        Loss(),
        value=_stores_p,
    ),
    bug(
        "softmax",
        "gradient stored in the logits",
        _WHY,
        _SOURCE,
        grad=_gradient_in_place(over_rows_vjp(lambda x, v: vjp_softmax(PLAIN.p(x), v))),
    ),
    bug(
        "log_softmax",
        "gradient stored in the logits",
        _WHY,
        _SOURCE,
        grad=_gradient_in_place(over_rows_vjp(lambda x, v: vjp_log_softmax(PLAIN.p(x), v))),
    ),
    loss_bug("gradient stored in the logits", _WHY, _SOURCE, Loss(), grad=_gradient_in_place(Loss().grad)),
    *(
        bug(op, "second backward pass scales again", _AGAIN, _SOURCE, grad=_scaled_again(grad))
        for op, grad in (("softmax", _GRADIENTS[0]), ("log_softmax", _GRADIENTS[1]))
    ),
    *(
        loss_bug("second backward pass scales again", _AGAIN, _SOURCE, of, op=op, grad=_scaled_again(of.grad))
        for op, of in (("nll_loss", NLL), ("cross_entropy", Loss()))
    ),
    bug("log_softmax", "result stored in the logits", _OVERWRITES, _SOURCE, _log_result_in_place),
    loss_bug("sentinels replaced in the labels", _OVERWRITES, _SOURCE, NLL, op="nll_loss", value=_labels_in_place(NLL)),
    loss_bug(
        "sentinels replaced in the labels", _OVERWRITES, _SOURCE, Loss(), targets=INDEX, value=_labels_in_place(Loss())
    ),
    loss_bug("smoothing stored in the targets", _OVERWRITES, _SOURCE, Loss(), targets=DENSE, value=_targets_in_place),
)
