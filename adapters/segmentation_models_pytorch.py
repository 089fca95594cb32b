"""Segmentation Models: ``SoftCrossEntropyLoss``, without the models, which need torchvision."""

from __future__ import annotations

from .protocol import Problem
from .torch_losses import Loss, TorchLosses, part


def _soft(p: Problem) -> str:
    if p.omit:
        return "losses.SoftCrossEntropyLoss(dim=%d)(x, target)" % p.axis
    given = 'reduction="%s", smooth_factor=%r, ignore_index=%s' % (p.reduction, p.label_smoothing, p.ignore_index)
    return "losses.SoftCrossEntropyLoss(%s, dim=%d)(x, target)" % (given, p.axis)


ADAPTER = TorchLosses(
    "segmentation_models_pytorch",
    "segmentation_models_pytorch",
    part("segmentation_models_pytorch", "losses"),
    {
        "soft-cross-entropy": Loss(
            _soft,
            ("ignore_index", "label_smoothing"),
            offered={"mean": "mean_over_rows", "omits": ("cross_entropy",)},
        )
    },
)
