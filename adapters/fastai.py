"""fastai: the flattened cross-entropies, of PyTorch's loss and of its own label smoothing."""

from __future__ import annotations

from typing import Any, Mapping

from .protocol import Problem
from .torch_losses import Loss, TorchLosses, options

# Without a reduction the result is flat, in an order of its own. fastai's tensors turn float64 into float32.
_OFFERED: Mapping[str, Any] = {"reductions": ("sum", "mean"), "dtypes": ("float32", "bfloat16", "float16")}


def _flat(p: Problem) -> str:
    given = options(p, weight="weight", ignore_index="ignore_index", label_smoothing="label_smoothing")
    return "CrossEntropyLossFlat(axis=%d, %s, %s)(x, target)" % (p.axis, given, options(p, reduction="reduction"))


def _smoothed(p: Problem) -> str:
    given = options(p, eps="label_smoothing", reduction="reduction")
    return "LabelSmoothingCrossEntropyFlat(axis=%d, %s)(x, target)" % (p.axis, given)


ADAPTER = TorchLosses(
    "fastai",
    "fastai",
    ("from fastai.losses import CrossEntropyLossFlat", "from fastai.losses import LabelSmoothingCrossEntropyFlat"),
    {
        "cross-entropy": Loss(_flat, ("weight", "ignore_index", "label_smoothing"), offered=_OFFERED),
        # Its weights do not touch the uniform part, nor do ignored labels: both are other operations.
        "label-smoothing": Loss(_smoothed, ("label_smoothing",), offered={**_OFFERED, "fixed_ignore_index": -100}),
    },
)
