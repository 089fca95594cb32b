# lossproof repro softmax/float32/ordinary/s2x1x3x4x1x5-ax3/787ad331 --target keras+tensorflow --simplify
"""softmax in float32, shape (1, 1, 1, 1, 1, 1), with Keras on tensorflow alone."""
# Observed with keras 3.15.1, tensorflow-cpu 2.21.0, jax 0.10.2, jaxlib 0.10.2, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: AbortedError: {{function_node __wrapped__Softmax_device_/job:localhost/replica:0/task:0/device:CP...
import os
os.environ["KERAS_BACKEND"] = "tensorflow"
import keras
import tensorflow as tf
tf.config.set_visible_devices([], "GPU")

x = tf.reshape(tf.constant([0.0], tf.float32), (1, 1, 1, 1, 1, 1))

def f():
    return keras.ops.softmax(x, axis=3)

exact, allowed = 1.0, 0.0
try:
    value = f()
    observed = value.numpy().astype(float).tolist()[0][0][0][0][0][0]
    right = abs(observed - exact) <= allowed
except Exception as error:
    observed, right = repr(error), False
print("value[0, 0, 0, 0, 0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("keras", keras.__version__)
raise SystemExit(0 if right else 1)
