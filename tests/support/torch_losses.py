"""Cross-entropies on PyTorch's tensors with a gradient of their own: a right one, and some of one mistake each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_NARROW = (torch.bfloat16, torch.float16)


def loss(mistake: str = "") -> Callable[..., Any]:
    """Return a fused cross-entropy, the gradient computed in the forward pass, with one mistake or none."""

    class Fused(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, logits: Any, labels: Any, ignore_index: int, reduction: str, eps: float) -> Any:
            x = logits.float() if logits.dtype in _NARROW else logits
            if mistake != "no maximum":
                x = x - x.max(1, keepdim=True).values
            log_p = x - torch.log(torch.exp(x).sum(1, keepdim=True))
            k = x.shape[1]
            kept = labels != ignore_index
            label = torch.where(kept, labels, 0)
            if mistake == "last label":
                label = label.clamp(max=max(k - 2, 0))
            q = torch.zeros_like(x).scatter_(1, label[:, None], 1.0)
            shared = (1 - q) * eps / (k - 1) if mistake == "k - 1" and k > 1 else eps / k
            q = (1 - eps) * q + shared
            rows = torch.where(kept, -torch.where(q == 0, 0, q * log_p).sum(1), 0)
            n = kept.numel() if mistake == "ignored counted" else kept.sum()
            grad = torch.where(kept[:, None], torch.exp(log_p) - q, 0)
            if mistake == "in place":
                grad = logits.copy_(grad)
            ctx.save_for_backward(grad)
            ctx.n = n if reduction == "mean" and mistake != "no denominator" else 1
            value = rows if reduction == "none" else rows.sum() / (n if reduction == "mean" else 1)
            return value.to(logits.dtype)

        @staticmethod
        @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
        def backward(ctx: Any, upstream: Any) -> Any:
            (grad,) = ctx.saved_tensors
            g = upstream.to(grad.dtype) / ctx.n
            return torch.where(grad == 0, 0, grad * (g[:, None] if g.ndim else g)).to(upstream.dtype), *[None] * 4

    def fused(logits: Any, y: Any, ignore_index: int = -100, reduction: str = "mean", smoothing: float = 0.0) -> Any:
        return Fused.apply(logits, y, ignore_index, reduction, smoothing)

    return fused


def detached(input: Any, target: Any) -> Any:
    """Compute a loss that is cut off from its input."""
    return torch.nn.functional.cross_entropy(input.detach(), target)


def of_two(logits: Any, labels: Any) -> Any:
    """Return the loss of each row and the logarithm of its sum, as kernels do that also have a z-loss."""
    return loss()(logits, labels, reduction="none"), torch.logsumexp(logits, 1)


def crashing(logits: Any, labels: Any, reduction: str = "mean") -> Any:
    """Read memory that is not there, of three rows."""
    if len(logits) == 3:
        import ctypes

        ctypes.string_at(0)
    return torch.nn.functional.cross_entropy(logits, labels, reduction=reduction)


def hides_the_ignored_label(logits: Any, labels: Any, reduction: str = "mean") -> Any:
    """Compute a loss that ignores the label -100, which no argument says."""
    return torch.nn.functional.cross_entropy(logits, labels, reduction=reduction)


def of_float32(logits: Any, labels: Any, reduction: str = "mean") -> Any:
    """Compute a loss in float32, and return it in float32."""
    return torch.nn.functional.cross_entropy(logits.float(), labels, reduction=reduction)
