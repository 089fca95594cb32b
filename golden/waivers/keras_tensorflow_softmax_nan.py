# lossproof repro softmax/float32/nan_row/n2-k4/b678757a --target keras+tensorflow --simplify
"""softmax in float32, shape (1, 2), with Keras on tensorflow alone."""
# Observed with keras 3.15.1, tensorflow-cpu 2.21.0, jax 0.10.2, jaxlib 0.10.2, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: 0.0
import os
os.environ["KERAS_BACKEND"] = "tensorflow"
import keras
import tensorflow as tf
tf.config.set_visible_devices([], "GPU")

x = tf.reshape(tf.constant(list(map(float.fromhex, "0x0p+0 nan".split())), tf.float32), (1, 2))

def f():
    return keras.ops.softmax(x, axis=-1)

value = f()
observed = value.numpy().astype(float).tolist()[0][0]
exact, allowed = float("nan"), 0.0
right = observed != observed
print("value[0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("keras", keras.__version__)
raise SystemExit(0 if right else 1)
