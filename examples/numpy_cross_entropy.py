"""A cross-entropy in NumPy with a gradient written by hand: both are judged."""

import numpy as np

from lossproof import check_implementation


def cross_entropy(logits, labels, ignore_index=-100, reduction="mean"):
    """Return the loss of logits ``(N, K)`` and labels ``(N,)``."""
    kept = labels != ignore_index
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1))
    rows = np.arange(len(labels))
    loss = np.where(kept, log_sum - shifted[rows, np.where(kept, labels, 0)], 0)
    if reduction == "none":
        return loss
    return loss.sum() / kept.sum(dtype=loss.dtype) if reduction == "mean" else loss.sum()


def gradient(logits, cotangent, *, labels, ignore_index=-100, reduction="mean"):
    """Return the gradient with respect to the logits: the softmax, less 1 at the label."""
    kept = labels != ignore_index
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    p[np.arange(len(labels)), np.where(kept, labels, 0)] -= 1
    rows = cotangent / kept.sum(dtype=p.dtype) if reduction == "mean" else cotangent
    return p * np.where(kept, rows, 0)[:, None]


ASKED = {"ranks": (2,), "targets": ("index",), "dtypes": ("float32", "float64"), "deck": "smoke", "errors": False}

if __name__ == "__main__":
    print(check_implementation(cross_entropy, op="cross_entropy", grad=gradient, **ASKED))
