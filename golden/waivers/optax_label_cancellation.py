# lossproof repro cross_entropy/float16/rows_apart/n2-k4-none/3b37ef6c --target optax --simplify
"""cross_entropy in float16, shape (1, 2), with optax alone."""
# Observed with optax 0.2.8, jax 0.10.2, jaxlib 0.10.2, numpy 2.4.6, python 3.11.7: 0.0
import numpy as np
import jax
import jax.numpy as jnp
import optax
jax.config.update("jax_enable_x64", True)

x = jnp.asarray(np.array([14336.0, 14336.0], np.float16).reshape((1, 2)))
target = jnp.asarray(np.array([1], np.int64).reshape((1,)))

@jax.jit
def program(x, target):
    value = optax.losses.softmax_cross_entropy_with_integer_labels(x, target, axis=1)
    return value,

value, = program(x, target)
observed = np.asarray(value).astype(float).tolist()[0]
exact, allowed = [0.6931471805599452, 0.6931471805599454], 0.0023353160389168255
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0]: observed", observed, "exact", exact, "allowed error", allowed)
print("optax", __import__("importlib.metadata").metadata.version("optax"))
raise SystemExit(0 if right else 1)
