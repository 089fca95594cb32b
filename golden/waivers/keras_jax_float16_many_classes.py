# lossproof repro softmax/float16/equal/n1-k70000/4b09d49c --target keras+jax --simplify
"""softmax in float16, shape (1, 70000), with Keras on jax alone."""
# Observed with keras 3.15.1, tensorflow-cpu 2.21.0, jax 0.10.2, jaxlib 0.10.2, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: 0.0
import os
os.environ["KERAS_BACKEND"] = "jax"
import keras
import jax
import jax.numpy as jnp
jax.config.update("jax_enable_x64", True)

x = jnp.array([0.0] * 70000, jnp.float16).reshape((1, 70000))

def f(x):
    return keras.ops.softmax(x, axis=-1)

value = f(x)
observed = jax.device_get(value).astype(float).tolist()[0][0]
exact, allowed = [1.4285714285603085e-05, 1.4285714285825486e-05], 3.575483884475887e-07
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("keras", keras.__version__)
raise SystemExit(0 if right else 1)
