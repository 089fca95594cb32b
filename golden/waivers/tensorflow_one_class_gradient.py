# lossproof repro cross_entropy/float32/single/n2-k1-none-q/93bb6f14 --target tensorflow --simplify
"""cross_entropy in float32, shape (1, 1), with tensorflow alone."""
# Observed with tensorflow 2.21.0, numpy 2.4.6, python 3.11.7: 1.0
import tensorflow as tf
tf.config.set_visible_devices([], "GPU")

x = tf.reshape(tf.constant([0.0], tf.float32), (1, 1))
target = tf.reshape(tf.constant([0.0], tf.float32), (1, 1))
cotangent = tf.reshape(tf.constant([1.0], tf.float32), (1,))

def gradient(f, x, cotangent):
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = f()
    return value, tape.gradient(value, x, cotangent, unconnected_gradients="zero")

def f():
    return tf.nn.softmax_cross_entropy_with_logits(labels=target, logits=x)

observed = gradient(f, x, cotangent)[1].numpy().astype(float).tolist()[0][0]
exact, allowed = 0.0, 0.0
right = abs(observed - exact) <= allowed
print("vjp[0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("tensorflow", tf.__version__)
raise SystemExit(0 if right else 1)
