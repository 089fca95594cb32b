# lossproof repro softmax/float32/nan_row/n2-k4/b678757a --target tensorflow --simplify
"""softmax in float32, shape (1, 2), with tensorflow alone."""
# Observed with tensorflow 2.21.0, numpy 2.4.6, python 3.11.7: 0.0
import tensorflow as tf
tf.config.set_visible_devices([], "GPU")

x = tf.reshape(tf.constant(list(map(float.fromhex, "0x0p+0 nan".split())), tf.float32), (1, 2))

def f():
    return tf.nn.softmax(x, axis=-1)

value = f()
observed = value.numpy().astype(float).tolist()[0][0]
exact, allowed = float("nan"), 0.0
right = observed != observed
print("value[0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("tensorflow", tf.__version__)
raise SystemExit(0 if right else 1)
