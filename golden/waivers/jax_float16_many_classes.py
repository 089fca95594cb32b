# lossproof repro log_softmax/float16/equal/n1-k70000/62a74c75 --target jax --simplify
"""log_softmax in float16, shape (1, 70000), with jax alone."""
# Observed with jax 0.10.2, jaxlib 0.10.2, numpy 2.4.6, python 3.11.7: -inf
import jax, jax.numpy as jnp
jax.config.update("jax_enable_x64", True)

x = jnp.array([0.0] * 70000, jnp.float16).reshape((1, 70000))

def f(x):
    return jax.nn.log_softmax(x, axis=-1)

value = f(x)
observed = jax.device_get(value).astype(float).tolist()[0][0]
exact, allowed = [-11.156250521039281, -11.15625052102371], 0.016057334100049604
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("jax", jax.__version__)
raise SystemExit(0 if right else 1)
