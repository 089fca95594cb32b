"""Backward passes that are right once: the second one over the same forward pass finds its data overwritten."""

from __future__ import annotations

from typing import Any

from .bugs import bug, loss_bug
from .loss import Loss
from .parts import PLAIN, Array, Function, over_rows_vjp, vjp_log_softmax, vjp_softmax

_SOURCE = "sibling of unsloth-inplace-logits (unslothai/unsloth#5002)"
_WHY = "the gradient is stored where the logits were, and a second backward pass takes it for them"


def _in_place(correct: Function) -> Function:
    kept: list[Array] = []

    def grad(x: Array, cotangent: Array, **keywords: Any) -> Array:
        if kept and kept[0] is x:
            return correct(kept[1], cotangent, **keywords)
        result = correct(x, cotangent, **keywords)
        kept[:] = [x, result.copy()]
        return result

    return grad


MUTANTS = (
    bug(
        "softmax",
        "gradient stored in the logits",
        _WHY,
        _SOURCE,
        grad=_in_place(over_rows_vjp(lambda x, v: vjp_softmax(PLAIN.p(x), v))),
    ),
    bug(
        "log_softmax",
        "gradient stored in the logits",
        _WHY,
        _SOURCE,
        grad=_in_place(over_rows_vjp(lambda x, v: vjp_log_softmax(PLAIN.p(x), v))),
    ),
    loss_bug("gradient stored in the logits", _WHY, _SOURCE, Loss(), grad=_in_place(Loss().grad)),
)
