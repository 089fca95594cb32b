"""A cross-entropy in JAX with a rule of its own for the gradient."""

from functools import partial

import jax
import jax.numpy as jnp

from lossproof import check_implementation


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def rows(logits, labels):
    """Return the loss of each row of logits ``(N, K)``."""
    return forward(logits, labels)[0]


def forward(logits, labels):
    """Return the loss of each row, and what its gradient needs."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    total = jnp.exp(shifted).sum(axis=1, keepdims=True)
    loss = jnp.log(total) - jnp.take_along_axis(shifted, labels[:, None], axis=1)
    return loss[:, 0], jnp.exp(shifted) / total


def backward(labels, p, upstream):
    """Return the gradient."""
    return ((p - jax.nn.one_hot(labels, p.shape[1], dtype=p.dtype)) * upstream[:, None],)


rows.defvjp(forward, backward)


def cross_entropy(logits, labels, reduction="mean"):
    """Return the loss."""
    losses = rows(logits, labels)
    return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()


ASKED = {"ranks": (2,), "targets": ("index",), "dtypes": ("float32",), "deck": "smoke", "errors": False}

if __name__ == "__main__":
    print(check_implementation(cross_entropy, op="cross_entropy", outputs=("value", "vjp"), **ASKED))
