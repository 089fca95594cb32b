# lossproof repro --call tests/calls/tensorflow_float16_softmax_sum.json --target tensorflow
"""softmax in float16, shape (1, 1000), with tensorflow alone."""
# Observed with tensorflow 2.21.0, numpy 2.4.6, python 3.11.7: 0.75390625
import tensorflow as tf
tf.config.set_visible_devices([], "GPU")

x = tf.reshape(tf.constant([0.0] + [-8.0] * 999, tf.float16), (1, 1000))

def f():
    return tf.nn.softmax(x, axis=-1)

value = f()
observed = value.numpy().astype(float).tolist()[0][0]
exact, allowed = [0.7489923252324205, 0.7489923252324208], 0.002247672923202996
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("tensorflow", tf.__version__)
raise SystemExit(0 if right else 1)
