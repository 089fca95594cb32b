"""MONAI: the cross-entropy in ``DiceCELoss``."""

from __future__ import annotations

from .protocol import Problem
from .torch_losses import Loss, TorchLosses, logits, options, target


def _dice(p: Problem) -> str:
    given = options(p, weight="weight", label_smoothing="label_smoothing", reduction="reduction")
    channel = "" if p.has_probability_target else ".unsqueeze(1)"
    return "DiceCELoss(%s).ce(%s, %s%s)" % (given, logits(p, 1), target(p, 1), channel)


def _refused(p: Problem) -> str:
    if p.x.ndim < 2:
        return "its logits have a batch axis"
    return (
        "" if p.has_probability_target or p.x.shape[p.axis] != 1 else "labels of one class are taken for probabilities"
    )


ADAPTER = TorchLosses(
    "monai",
    "monai",
    ("from monai.losses import DiceCELoss",),
    {
        "dice-ce": Loss(
            _dice,
            ("weight", "ignore_index", "label_smoothing"),
            ("index", "probability"),
            refused=_refused,
            offered={"fixed_ignore_index": -100, "reductions": ("sum", "mean")},
        )
    },
)
