# lossproof repro cross_entropy/float16/equal/n1-k70000-mean/e0be35bd --target optax --simplify
"""cross_entropy in float16, shape (1, 70000), with optax alone."""
# Observed with optax 0.2.8, jax 0.10.2, jaxlib 0.10.2, numpy 2.4.6, python 3.11.7: inf
import numpy as np
import jax
import jax.numpy as jnp
import optax
jax.config.update("jax_enable_x64", True)

x = jnp.asarray(np.array([0.0] * 70000, np.float16).reshape((1, 70000)))
target = jnp.asarray(np.array([7425], np.int64).reshape((1,)))

@jax.jit
def program(x, target):
    value = jnp.mean(optax.losses.softmax_cross_entropy_with_integer_labels(x, target, axis=1))
    return value,

value, = program(x, target)
observed = np.asarray(value).astype(float).tolist()
exact, allowed = [11.156250521023704, 11.156250521039286], 0.06523818535838533
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("optax", __import__("importlib.metadata").metadata.version("optax"))
raise SystemExit(0 if right else 1)
