# lossproof repro log_softmax/float32/full_mantissas/n2-k4-x3/3dfa083f --target tensorflow+xla --simplify
"""log_softmax in float32, shape (1, 2), with tensorflow alone. Compiled by XLA."""
# Observed with tensorflow 2.21.0, numpy 2.4.6, python 3.11.7: -inf
import tensorflow as tf
tf.config.set_visible_devices([], "GPU")

x = tf.reshape(tf.constant(list(map(float.fromhex, "0x1.fffffep+123 0x0p+0".split())), tf.float32), (1, 2))

def program(x):
    def f():
        return tf.nn.log_softmax((x * 3.0), axis=-1)

    value = f()
    return value,

value, = tf.function(program, autograph=False, jit_compile=True)(x)
observed = value.numpy().astype(float).tolist()[0][0]
exact, allowed = [-1e-323, 1e-323], 7.605908134848334e+30
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("tensorflow", tf.__version__)
raise SystemExit(0 if right else 1)
