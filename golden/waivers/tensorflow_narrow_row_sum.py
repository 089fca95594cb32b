# lossproof repro log_softmax/bfloat16/stagnation/n2-k4/0cf63c60 --target tensorflow --simplify
"""log_softmax in bfloat16, shape (1, 4), with tensorflow alone."""
# Observed with tensorflow 2.21.0, numpy 2.4.6, python 3.11.7: -0.023193359375
import tensorflow as tf
tf.config.set_visible_devices([], "GPU")

x = tf.reshape(tf.constant(list(map(float.fromhex, "0x0p+0 -0x1.6p+2 -0x1.6p+2 -0x1.6p+2".split())), tf.bfloat16), (1, 4))

def f():
    return tf.nn.log_softmax(x, axis=-1)

value = f()
observed = value.numpy().astype(float).tolist()[0][0]
exact, allowed = [-0.012185765372310513, -0.01218576537231051], 0.008251115240058083
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("tensorflow", tf.__version__)
raise SystemExit(0 if right else 1)
