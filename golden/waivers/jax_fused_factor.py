# lossproof repro log_softmax/float32/full_mantissas/n2-k4-x3/3dfa083f --target jax+jit --simplify
"""log_softmax in float32, shape (1, 2), with jax alone. In one compiled program."""
# Observed with jax 0.10.2, jaxlib 0.10.2, numpy 2.4.6, python 3.11.7: -inf
import jax, jax.numpy as jnp
jax.config.update("jax_enable_x64", True)

x = jnp.array(list(map(float.fromhex, "0x1.fffffep+123 0x0p+0".split())), jnp.float32).reshape((1, 2))

def program(x):
    def f(x):
        return jax.nn.log_softmax((x * 3.0), axis=-1)

    value = f(x)
    return value,

value, = jax.jit(program)(x)
observed = jax.device_get(value).astype(float).tolist()[0][0]
exact, allowed = [-1e-323, 1e-323], 7.605908134848334e+30
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("jax", jax.__version__)
raise SystemExit(0 if right else 1)
