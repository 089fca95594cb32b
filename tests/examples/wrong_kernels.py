"""Wrong cross-entropies, each with one defect that kernels have had, and the right one that they are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
# Each defect, and the output that must fail by it.
DEFECTS = {
    "no_max": "value",
    "sum_gradient": "vjp",
    "ignored_counted": "value",
    "last_label_off": "value",
    "smoothing_of_others": "value",
}


@dataclass(frozen=True)
class Kernel:
    """A cross-entropy of ``(N, K)`` logits with at most one defect."""

    defect: str = ""

    def loss(
        self,
        logits: Array,
        labels: Array,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        reduction: str = "mean",
    ) -> Array:
        shifted = logits if self.defect == "no_max" else logits - logits.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        kept, share = self._shares(logits, labels, ignore_index, label_smoothing)
        rows = np.where(kept, -np.where(share != 0, share * log_p, 0).sum(axis=1), 0).astype(logits.dtype)
        if reduction == "none":
            return rows
        return rows.sum() if reduction == "sum" else rows.sum() / self._rows(kept, logits)

    def gradient(
        self,
        logits: Array,
        upstream: Array,
        *,
        labels: Array,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        reduction: str = "mean",
    ) -> Array:
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        kept, share = self._shares(logits, labels, ignore_index, label_smoothing)
        divided = reduction == "mean" and self.defect != "sum_gradient"
        scale = upstream / self._rows(kept, logits) if divided else upstream
        return (e / e.sum(axis=1, keepdims=True) - share) * np.where(kept, scale, 0).astype(logits.dtype)[:, None]

    def _rows(self, kept: Array, logits: Array) -> Any:
        count = len(kept) if self.defect == "ignored_counted" else kept.sum()
        return logits.dtype.type(count)

    def _shares(self, logits: Array, labels: Array, ignore: int, smoothing: float) -> tuple[Array, Array]:
        k, kept = logits.shape[1], labels != ignore
        safe = np.where(kept, labels, 0)
        if self.defect == "last_label_off":
            safe = np.minimum(safe, max(k - 2, 0))
        others = max(k - 1, 1) if self.defect == "smoothing_of_others" else k
        own = 1 - smoothing + (0 if self.defect == "smoothing_of_others" else smoothing / k)
        hit = np.arange(k) == safe[:, None]
        return kept, np.where(hit, own, smoothing / others).astype(logits.dtype)


def forgets_the_maximum(logits: Any, labels: Any, first: int) -> tuple[Any, Any]:
    """The loss of one rank that subtracts its own maximum, not that of all ranks."""
    import torch
    import torch.distributed as dist

    top = logits.amax(1)
    e = (logits - top[:, None]).exp()
    here = (labels >= first) & (labels < first + logits.shape[1])
    column = torch.where(here, labels - first, 0)[:, None]
    label_logit = torch.where(here, (logits - top[:, None]).gather(1, column)[:, 0], 0)
    dist.all_reduce(label_logit)
    total = e.sum(1)
    dist.all_reduce(total)
    return total.log() - label_logit, (e / total[:, None]).scatter_add(1, column, -here[:, None].to(e.dtype))
