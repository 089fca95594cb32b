"""PyTorch's own functions for the operations: what is called in every mode."""

from __future__ import annotations

from typing import Any, Callable

import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's own convention)

from .protocol import Problem

DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def function(p: Problem) -> Callable[[Any, Any, Any, int], Any]:
    """The value of a problem as a function of input, target, weight and the label to be ignored.

    Options are read here, once: a compiler sees plain constants.
    """
    op, scale = _operation(p), p.scale
    if scale == 1.0:
        return op
    return lambda x, target, weight, ignore: op(x * scale, target, weight, ignore)


def _operation(p: Problem) -> Callable[[Any, Any, Any, int], Any]:
    axis, reduction, eps, dtype = p.axis, p.reduction, p.label_smoothing, DTYPES.get(p.out_dtype or "")
    if p.op == "softmax":
        return lambda x, target, weight, ignore: F.softmax(x, dim=axis, dtype=dtype)
    if p.op == "log_softmax":
        return lambda x, target, weight, ignore: F.log_softmax(x, dim=axis, dtype=dtype)
    place = min(1, p.x.ndim - 1)
    moved, nll, dense = axis % p.x.ndim != place, p.op == "nll_loss", p.has_probability_target

    def loss(x: Any, target: Any, weight: Any, ignore: int) -> Any:
        if moved:
            x = x.movedim(axis, place)
            target = target.movedim(axis, place) if dense else target
        if nll:
            return F.nll_loss(x, target, weight, ignore_index=ignore, reduction=reduction)
        return F.cross_entropy(x, target, weight, ignore_index=ignore, reduction=reduction, label_smoothing=eps)

    return loss


def ignored_label(p: Problem) -> int:
    """PyTorch cannot be told to ignore nothing: absent means a value that no label takes."""
    if p.ignore_index is not None:
        return p.ignore_index
    if p.has_probability_target or p.target is None:
        return -100
    return min(-100, int(p.target.min(initial=0)) - 1)
