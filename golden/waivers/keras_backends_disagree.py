# lossproof repro cross_entropy/float32/error/13-k-n2-k4-none/24c42154 --target keras+jax
"""cross_entropy in float32, shape (2, 4), with Keras on jax alone."""
# Observed with keras 3.15.1, tensorflow-cpu 2.21.0, jax 0.10.2, jaxlib 0.10.2, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: -0.0
import os
os.environ["KERAS_BACKEND"] = "jax"
import keras
import jax
import jax.numpy as jnp
jax.config.update("jax_enable_x64", True)

x = jnp.array(list(map(float.fromhex, "0x1p-1 -0x1p+0 0x1p+1 0x1p-2 0x1.8p+0 0x0p+0 -0x1.8p-1 0x1p+0".split())), jnp.float32).reshape((2, 4))
target = jnp.array([4, 2], jnp.int64).reshape((2,))

def f(x):
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=None, dtype="float32")(target, x)

try:
    observed = jax.device_get(jax.vjp(f, x)[0]).astype(float).tolist()[0]
    right = observed != observed
except Exception as error:
    observed, right = repr(error), True
print("value: observed", observed, "expected an error, as the input is invalid")
print("keras", keras.__version__)
raise SystemExit(0 if right else 1)
