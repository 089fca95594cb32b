"""Mutants that write where their inputs lie, in the forward or in the backward pass."""

from __future__ import annotations

from typing import Any

from .kit.entries import bug, loss_bug
from .kit.loss_steps import Loss
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
)
