# written by hand: the deck asks for one convention, this shows a row of two
"""The gradient of a row with an infinite logit in float32, with optax alone."""
# Observed with optax 0.2.8, jax 0.10.2, jaxlib 0.10.2, numpy 2.4.6, python 3.11.7: [-1.0, nan]
import jax
import jax.numpy as jnp
import optax

loss = optax.losses.softmax_cross_entropy_with_integer_labels
observed = jax.grad(loss)(jnp.array([0.0, jnp.inf], jnp.float32), 0).tolist()
right = observed == [-1.0, 1.0] or all(v != v for v in observed)
print("observed", observed, "exact [-1, 1], or [nan, nan]")
print("optax", __import__("importlib.metadata").metadata.version("optax"))
raise SystemExit(0 if right else 1)
