"""Liger's cross-entropy. Without a GPU, set ``TRITON_INTERPRET=1`` before Triton is imported."""

from lossproof import check_implementation


def cross_entropy(logits, labels, ignore_index=-100, label_smoothing=0.0, reduction="mean"):
    """Return the loss of a copy of the logits: the kernel writes the gradient into what it is given."""
    from liger_kernel.transformers.functional import liger_cross_entropy

    return liger_cross_entropy(
        logits.clone(), labels, ignore_index=ignore_index, label_smoothing=label_smoothing, reduction=reduction
    )


ASKED = {"ranks": (2,), "targets": ("index",), "dtypes": ("float32",), "deck": "smoke", "errors": False}

if __name__ == "__main__":
    print(check_implementation(cross_entropy, op="cross_entropy", framework="torch", **ASKED))
