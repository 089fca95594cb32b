"""keras on jax: a logit of -inf at a class that is not the label makes the loss NaN."""

import math
import os
import sys

os.environ["KERAS_BACKEND"] = "jax"

import keras

# The loss of the other two classes: log(1 + e).
EXACT = 1.313261687518222  # +/- 2e-16

got = float(keras.ops.sparse_categorical_crossentropy([0], [[0.0, 1.0, -math.inf]], from_logits=True)[0])
print(f"observed {got}, exact {EXACT}")
print("keras", keras.__version__, "on", keras.backend.backend())
sys.exit(0 if abs(got - EXACT) < 1e-6 else 1)
