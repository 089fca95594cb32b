"""Fused linear cross-entropy of PyTorch: judged with the logits as hidden states and the identity as weight."""

import torch

from lossproof import check_implementation


def cross_entropy(logits, labels, ignore_index=-100, label_smoothing=0.0, reduction="mean"):
    """Return the loss of ``logits @ identity``, which are the logits."""
    identity = torch.eye(logits.shape[1], dtype=logits.dtype)
    return torch.nn.functional.linear_cross_entropy(
        logits, identity, labels, ignore_index=ignore_index, label_smoothing=label_smoothing, reduction=reduction
    )


ASKED = {"ranks": (2,), "targets": ("index",), "dtypes": ("float32",), "finite": True, "deck": "smoke", "errors": False}

if __name__ == "__main__":
    print(check_implementation(cross_entropy, op="cross_entropy", **ASKED))
