# lossproof repro cross_entropy/float32/masked/n2-k4-mean/84cbebbe --target keras+jax --simplify
"""cross_entropy in float32, shape (1, 2), with Keras on jax alone."""
# Observed with keras 3.15.1, tensorflow-cpu 2.21.0, jax 0.10.2, jaxlib 0.10.2, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: nan
import os
os.environ["KERAS_BACKEND"] = "jax"
import keras
import jax
import jax.numpy as jnp
jax.config.update("jax_enable_x64", True)

x = jnp.array(list(map(float.fromhex, "0x0p+0 -inf".split())), jnp.float32).reshape((1, 2))
target = jnp.array([0], jnp.int64).reshape((1,))

def f(x):
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum_over_batch_size", dtype="float32")(target, x)

value = f(x)
observed = jax.device_get(value).astype(float).tolist()
exact, allowed = 0.0, 4.1723292909577277e-07
right = abs(observed - exact) <= allowed
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("keras", keras.__version__)
raise SystemExit(0 if right else 1)
