# lossproof repro softmax/bfloat16/confident/s1x17x24/9fd7f6ff --target keras+numpy --simplify
"""softmax in bfloat16, shape (1, 1, 8), with Keras on numpy alone."""
# Observed with keras 3.15.1, tensorflow-cpu 2.21.0, jax 0.10.2, jaxlib 0.10.2, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: 1.0
import os
os.environ["KERAS_BACKEND"] = "numpy"
import keras
import numpy as np

x = keras.ops.convert_to_tensor(np.array([6.0] + [0.0] * 7, 'float64').reshape((1, 1, 8)), "bfloat16")

value = keras.ops.convert_to_numpy(keras.ops.softmax(x, axis=-1))
observed = value.astype(float).tolist()[0][0][0]
exact, allowed = [0.9829446663806642, 0.9829446663806645], 0.015916239669501283
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0, 0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("keras", keras.__version__)
raise SystemExit(0 if right else 1)
