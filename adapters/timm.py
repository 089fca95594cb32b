"""timm: the cross-entropies with label smoothing and of soft targets, without the models, which need torchvision."""

from __future__ import annotations

from typing import Any, Mapping

from .protocol import Problem
from .torch_losses import Loss, TorchLosses, logits, part, target

_MEAN: Mapping[str, Any] = {"reductions": ("mean",)}


def _smoothed(p: Problem) -> str:
    return "loss.LabelSmoothingCrossEntropy(%r)(%s, target)" % (p.label_smoothing, logits(p, -1))


def _soft(p: Problem) -> str:
    return "loss.SoftTargetCrossEntropy()(%s, %s)" % (logits(p, -1), target(p, -1))


ADAPTER = TorchLosses(
    "timm",
    "timm",
    part("timm", "loss"),
    {
        "label-smoothing": Loss(
            _smoothed, ("label_smoothing",), offered={**_MEAN, "ranks": (2,), "full_smoothing": False}
        ),
        "soft-target": Loss(_soft, targets=("probability",), offered=_MEAN),
    },
)
