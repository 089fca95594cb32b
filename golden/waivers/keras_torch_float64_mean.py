"""keras on torch: the mean of float64 losses is float32."""

import os
import sys

os.environ["KERAS_BACKEND"] = "torch"

import keras

# log(1 + e) of each row.
EXACT = 1.313261687518222  # +/- 2e-16

x = keras.ops.convert_to_tensor([[0.0, 1.0]], dtype="float64")
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype="float64")
value = loss(keras.ops.convert_to_tensor([0]), x)
got = float(value)
print(f"observed {got} in {value.dtype}, exact {EXACT} in float64")
print("keras", keras.__version__, "on", keras.backend.backend())
sys.exit(0 if abs(got - EXACT) < 1e-14 else 1)
