# lossproof repro cross_entropy/float32/nan_row/n2-k4-none-q-m/330fce26 --target tensorflow+xla --output value --simplify
"""cross_entropy in float32, shape (1, 1), with tensorflow alone. Compiled by XLA."""
# Observed with tensorflow 2.21.0, numpy 2.4.6, python 3.11.7: -0.0
import tensorflow as tf
tf.config.set_visible_devices([], "GPU")

x = tf.reshape(tf.constant(list(map(float.fromhex, "nan".split())), tf.float32), (1, 1))
target = tf.reshape(tf.constant([0.0], tf.float32), (1, 1))

def program(x, target):
    def f():
        return tf.nn.softmax_cross_entropy_with_logits(labels=target, logits=x)

    value = f()
    return value,

value, = tf.function(program, autograph=False, jit_compile=True)(x, target)
observed = value.numpy().astype(float).tolist()[0]
exact, allowed = float("nan"), 0.0
right = observed != observed
print("value[0]: observed", observed, "exact", exact, "allowed error", allowed)
print("tensorflow", tf.__version__)
raise SystemExit(0 if right else 1)
