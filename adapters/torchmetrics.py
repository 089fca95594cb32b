"""TorchMetrics: the log of the perplexity, which is a mean cross-entropy."""

from __future__ import annotations

from .protocol import Problem
from .torch_losses import Loss, TorchLosses, logits


def _perplexity(p: Problem) -> str:
    batch = "[None]" if p.x.ndim == 2 else ""
    update = "_perplexity_update(%s%s, target%s, %s)" % (logits(p, -1), batch, batch, p.ignore_index)
    return "%s[0]" % update if p.reduction == "sum" else "operator.truediv(*%s)" % update


ADAPTER = TorchLosses(
    "torchmetrics",
    "torchmetrics",
    ("import operator", "from torchmetrics.functional.text.perplexity import _perplexity_update"),
    {"perplexity": Loss(_perplexity, ("ignore_index",), offered={"ranks": (2, 3), "reductions": ("sum", "mean")})},
)
