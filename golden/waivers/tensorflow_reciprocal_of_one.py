# lossproof repro softmax/float32/single/s1x17x24-ax0/42e04198 --target tensorflow --simplify
"""softmax in float32, shape (1, 1, 8), with tensorflow alone."""
# Observed with tensorflow 2.21.0, numpy 2.4.6, python 3.11.7: 0.9999999403953552
import tensorflow as tf
tf.config.set_visible_devices([], "GPU")

x = tf.reshape(tf.constant([0.0] * 8, tf.float32), (1, 1, 8))

def f():
    return tf.nn.softmax(x, axis=0)

value = f()
observed = value.numpy().astype(float).tolist()[0][0][0]
exact, allowed = 1.0, 0.0
right = abs(observed - exact) <= allowed
print("value[0, 0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("tensorflow", tf.__version__)
raise SystemExit(0 if right else 1)
