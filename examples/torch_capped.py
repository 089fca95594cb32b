"""A cross-entropy with soft-capped logits and a z-loss, value and gradient in one pass, as training kernels have it."""

import torch

from lossproof import Variant, check_implementation


class Capped(torch.autograd.Function):
    """Row losses of logits ``(N, K)``; the gradient is made with the value, from the same exponentials."""

    @staticmethod
    def forward(ctx, logits, labels, lse_square_scale, softcap, ignore_index):
        """Return the loss of each row."""
        t = torch.tanh(logits.float() / softcap)
        z = softcap * t
        d = z - z.amax(1, keepdim=True)
        e = d.exp()
        total = e.sum(1)
        log_sum = z.amax(1) + total.log()
        kept = labels != ignore_index
        safe = torch.where(kept, labels, 0)[:, None]
        rows = total.log() - d.gather(1, safe)[:, 0] + lse_square_scale * log_sum**2
        p = e / total[:, None]
        slope = p * (1 + 2 * lse_square_scale * log_sum[:, None])
        slope = slope.scatter_add(1, safe, torch.full_like(slope[:, :1], -1.0)) * (1 - t * t)
        ctx.save_for_backward(torch.where(kept[:, None], slope, 0), logits)
        return torch.where(kept, rows, 0).to(logits.dtype)

    @staticmethod
    def backward(ctx, upstream):
        """Return the gradient."""
        slope, logits = ctx.saved_tensors
        return (slope * upstream.float()[:, None]).to(logits.dtype), None, None, None, None


def cross_entropy(logits, labels, lse_square_scale=0.0, softcap=30.0, ignore_index=-100, reduction="mean"):
    """Return the loss."""
    rows = Capped.apply(logits, labels, lse_square_scale, softcap, ignore_index)
    if reduction == "none":
        return rows
    return rows.sum() if reduction == "sum" else rows.sum() / (labels != ignore_index).sum()


VARIANT = Variant(z_loss=1e-3, softcap=30.0)
ASKED = {"variant": VARIANT, "ranks": (2,), "targets": ("index",), "dtypes": ("float32",)}

if __name__ == "__main__":
    print(check_implementation(cross_entropy, op="cross_entropy", **ASKED))
