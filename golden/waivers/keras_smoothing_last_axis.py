"""keras: label smoothing divides by the size of the last axis, not by that of the axis of the classes."""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

# Four equal logits: every log p_j is -log 4 and q' sums to 1, so the loss is log 4 for any smoothing.
EXACT = 1.3862943611198906  # +/- 2e-16

loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.5, axis=1, reduction=None)
target = keras.ops.reshape(keras.ops.convert_to_tensor([1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]), (1, 4, 2))
got = float(loss(target, keras.ops.zeros((1, 4, 2)))[0, 0])
print(f"4 classes along axis 1 of shape (1, 4, 2): observed {got}, exact {EXACT}")
print("keras", keras.__version__, "on", keras.backend.backend())
sys.exit(0 if abs(got - EXACT) < 1e-6 else 1)
