# lossproof repro cross_entropy/float32/error/12-ignore-32-bit-n2-k4-none-ig4294967297/799b760e --target keras+openvino
"""cross_entropy in float32, shape (2, 4), with Keras on openvino alone."""
# Observed with keras 3.15.1, tensorflow-cpu 2.21.0, jax 0.10.2, jaxlib 0.10.2, torch 2.13.0+cpu, openvino 2026.4.1, numpy 2.4.6, python 3.11.7: 0.0
import os
os.environ["KERAS_BACKEND"] = "openvino"
import keras
import numpy as np

x = keras.ops.convert_to_tensor(np.array(list(map(float.fromhex, "0x1p-1 -0x1p+0 0x1p+1 0x1p-2 0x1.8p+0 0x0p+0 -0x1.8p-1 0x1p+0".split())), 'float64').reshape((2, 4)), "float32")
target = keras.ops.convert_to_tensor(np.array([1, 2], 'int64').reshape((2,)), "int64")

try:
    value = keras.ops.convert_to_numpy(keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=4294967297, reduction=None, dtype="float32")(target, x))
    observed = value.astype(float).tolist()[0]
    right = observed != observed
except Exception as error:
    observed, right = repr(error), True
print("value: observed", observed, "expected an error, as the input is invalid")
print("keras", keras.__version__)
raise SystemExit(0 if right else 1)
