# lossproof repro cross_entropy/float64/ordinary/n2-k4-mean/7a6bae1d --target keras+torch --simplify
"""cross_entropy in float64, shape (1, 1), with Keras on torch alone."""
# Observed with keras 3.15.1, tensorflow-cpu 2.21.0, jax 0.10.2, jaxlib 0.10.2, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: shape (), float32
import os
os.environ["KERAS_BACKEND"] = "torch"
import keras
import torch

x = torch.tensor([0.0], dtype=torch.float64).reshape((1, 1))
target = torch.tensor([0], dtype=torch.int64).reshape((1,))

def f(x, target):
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum_over_batch_size", dtype="float64")(target, x)

value = f(x, target)
observed = str(value.dtype)
right = "float64" in observed
print("dtype of value: observed", observed, "expected float64")
print("keras", keras.__version__)
raise SystemExit(0 if right else 1)
