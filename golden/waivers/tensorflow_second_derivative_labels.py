# lossproof repro cross_entropy/float64/ordinary/s1x17x24-ax1-none-q-m/a97482c5 --target tensorflow+forward-over-reverse --output mixed --simplify
"""cross_entropy in float64, shape (1, 2, 1), with tensorflow alone. Second derivatives by forward mode over a tape."""
# Observed with tensorflow 2.21.0, numpy 2.4.6, python 3.11.7: 0.0
import tensorflow as tf
tf.config.set_visible_devices([], "GPU")
x = tf.reshape(tf.constant([0.0, 0.0], tf.float64), (1, 2, 1))
target = tf.reshape(tf.constant([0.0, 0.0], tf.float64), (1, 2, 1))
cotangent = tf.reshape(tf.constant([1.0], tf.float64), (1, 1))
target_tangent = tf.reshape(tf.constant(list(map(float.fromhex, "0x1p-1 0x0p+0".split())), tf.float64), (1, 2, 1))
def gradient(f, x, cotangent):
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = f()
    return value, tape.gradient(value, x, cotangent, unconnected_gradients="zero")
def f():
    t2 = tf.experimental.numpy.moveaxis(target, 1, -1)
    return tf.nn.softmax_cross_entropy_with_logits(labels=t2, logits=tf.experimental.numpy.moveaxis(x, 1, -1))
with tf.autodiff.ForwardAccumulator(target, target_tangent) as forward:
    _, y = gradient(f, x, cotangent)
mixed = forward.jvp(y, unconnected_gradients="zero")
observed = mixed.numpy().astype(float).tolist()[0][1][0]
exact, allowed = 0.25, 7.560153787740202e-16
right = abs(observed - exact) <= allowed
print("mixed[0, 1, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("tensorflow", tf.__version__)
raise SystemExit(0 if right else 1)
