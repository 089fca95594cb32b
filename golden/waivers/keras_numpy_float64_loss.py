# lossproof repro cross_entropy/float64/golden/n2-k4-mean/a88f06c6 --target keras+numpy --simplify
"""cross_entropy in float64, shape (1, 1), with Keras on numpy alone."""
# Observed with keras 3.15.1, tensorflow-cpu 2.21.0, jax 0.10.2, jaxlib 0.10.2, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: shape (), float32
import os
os.environ["KERAS_BACKEND"] = "numpy"
import keras
import numpy as np

x = keras.ops.convert_to_tensor(np.array([0.0], 'float64').reshape((1, 1)), "float64")
target = keras.ops.convert_to_tensor(np.array([0], 'int64').reshape((1,)), "int64")

value = keras.ops.convert_to_numpy(keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum_over_batch_size", dtype="float64")(target, x))
observed = str(value.dtype)
right = "float64" in observed
print("dtype of value: observed", observed, "expected float64")
print("keras", keras.__version__)
raise SystemExit(0 if right else 1)
