# lossproof repro log_softmax/float16/equal/n1-k70000/62a74c75 --target tensorflow --simplify
"""log_softmax in float16, shape (1, 70000), with tensorflow alone."""
# Observed with tensorflow 2.21.0, numpy 2.4.6, python 3.11.7: -inf
import tensorflow as tf
tf.config.set_visible_devices([], "GPU")

x = tf.reshape(tf.constant([0.0] * 70000, tf.float16), (1, 70000))

def f():
    return tf.nn.log_softmax(x, axis=-1)

value = f()
observed = value.numpy().astype(float).tolist()[0][0]
exact, allowed = [-11.156250521039281, -11.15625052102371], 0.016057334100049604
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("tensorflow", tf.__version__)
raise SystemExit(0 if right else 1)
