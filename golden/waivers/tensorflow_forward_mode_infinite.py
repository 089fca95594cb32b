# lossproof repro cross_entropy/float32/masked/s1x17x24-ax1-none-ls1-t/620c7c0f --target tensorflow --output jvp --simplify
"""cross_entropy in float32, shape (1, 2, 1), with tensorflow alone."""
# Observed with tensorflow 2.21.0, numpy 2.4.6, python 3.11.7: nan
import tensorflow as tf
tf.config.set_visible_devices([], "GPU")

x = tf.reshape(tf.constant(list(map(float.fromhex, "-inf 0x0p+0".split())), tf.float32), (1, 2, 1))
tangent = tf.reshape(tf.constant([1.0, 1.0], tf.float32), (1, 2, 1))

def f():
    return -tf.reduce_sum((0.5 * tf.nn.log_softmax(tf.experimental.numpy.moveaxis(x, 1, -1), axis=-1)), axis=-1)

with tf.autodiff.ForwardAccumulator(x, tangent) as forward:
    y = f()
jvp = forward.jvp(y, unconnected_gradients="zero")
observed = jvp.numpy().astype(float).tolist()[0][0]
exact, allowed = 0.0, 2.205373840883372e-06
right = abs(observed - exact) <= allowed
print("jvp[0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("tensorflow", tf.__version__)
raise SystemExit(0 if right else 1)
