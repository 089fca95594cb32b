# lossproof repro softmax/float64/golden/n2-k4/c7ee47d1 --target keras+openvino --simplify
"""softmax in float64, shape (1, 2), with Keras on openvino alone."""
# Observed with keras 3.15.1, tensorflow-cpu 2.21.0, jax 0.10.2, jaxlib 0.10.2, torch 2.13.0+cpu, openvino 2026.4.1, numpy 2.4.6, python 3.11.7: 0.4532618522644043
import os
os.environ["KERAS_BACKEND"] = "openvino"
import keras
import numpy as np

x = keras.ops.convert_to_tensor(np.array(list(map(float.fromhex, "0x0p+0 0x1.8p-3".split())), 'float64').reshape((1, 2)), "float64")

value = keras.ops.convert_to_numpy(keras.ops.softmax(x, axis=-1))
observed = value.astype(float).tolist()[0][0]
exact, allowed = [0.4532618480153861, 0.4532618480153862], 9.50789882862823e-16
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("keras", keras.__version__)
raise SystemExit(0 if right else 1)
