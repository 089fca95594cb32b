# lossproof repro log_softmax/bfloat16/stagnation/n2-k4/0cf63c60 --target keras+tensorflow --simplify
"""log_softmax in bfloat16, shape (1, 4), with Keras on tensorflow alone."""
# Observed with keras 3.15.1, tensorflow-cpu 2.21.0, jax 0.10.2, jaxlib 0.10.2, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: -0.023193359375
import os
os.environ["KERAS_BACKEND"] = "tensorflow"
import keras
import tensorflow as tf
tf.config.set_visible_devices([], "GPU")

x = tf.reshape(tf.constant(list(map(float.fromhex, "0x0p+0 -0x1.6p+2 -0x1.6p+2 -0x1.6p+2".split())), tf.bfloat16), (1, 4))

def f():
    return keras.ops.log_softmax(x, axis=-1)

value = f()
observed = value.numpy().astype(float).tolist()[0][0]
exact, allowed = [-0.012185765372310513, -0.01218576537231051], 0.008251115240058083
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("keras", keras.__version__)
raise SystemExit(0 if right else 1)
