# lossproof repro softmax/float16/two_level/n4-k1000/43e01e01 --target jax --simplify
"""softmax in float16, shape (1, 282), with jax alone."""
# Observed with jax 0.10.2, jaxlib 0.10.2, numpy 2.4.6, python 3.11.7: 0.0035457611083984375
import jax, jax.numpy as jnp
jax.config.update("jax_enable_x64", True)

x = jnp.array([0.0] * 282, jnp.float16).reshape((1, 282))
cotangent = jnp.array([1.0] * 282, jnp.float16).reshape((1, 282))

def f(x):
    return jax.nn.softmax(x, axis=-1)

value, pull_back = jax.vjp(f, x)
vjp, = pull_back(cotangent)
observed = jax.device_get(vjp).astype(float).tolist()[0][0]
exact, allowed = [-6.598643768851914e-40, 3.2859687776583873e-39], 4.316804375097208e-05
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("vjp[0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("jax", jax.__version__)
raise SystemExit(0 if right else 1)
