# lossproof repro cross_entropy/float32/error/13-32-bit-n2-k4-none/a21a0585 --target optax --simplify
"""cross_entropy in float32, shape (2, 4), with optax alone."""
# Observed with optax 0.2.8, jax 0.10.2, jaxlib 0.10.2, numpy 2.4.6, python 3.11.7: 3.369279146194458
import numpy as np
import jax
import jax.numpy as jnp
import optax
jax.config.update("jax_enable_x64", True)
x = jnp.asarray(np.array(list(map(float.fromhex, "0x1p-1 -0x1p+0 0x1p+1 0x1p-2 0x1.8p+0 0x0p+0 -0x1.8p-1 0x1p+0".split())), np.float32).reshape((2, 4)))
target = jnp.asarray(np.array([4294967297, 2], np.int64).reshape((2,)))
cotangent = jnp.asarray(np.array([1.0, 1.0], np.float32).reshape((2,)))
@jax.jit
def program(x, target, cotangent):
    def f(x):
        return optax.losses.softmax_cross_entropy_with_integer_labels(x, target, axis=1)
    value, pull_back = jax.vjp(f, x)
    vjp, = pull_back(cotangent)
    return value, vjp,
try:
    observed = np.asarray(program(x, target, cotangent)[0]).astype(float).tolist()[0]
    right = observed != observed
except Exception as error:
    observed, right = repr(error), True
print("value: observed", observed, "expected an error, as the input is invalid")
print("optax", __import__("importlib.metadata").metadata.version("optax"))
raise SystemExit(0 if right else 1)
