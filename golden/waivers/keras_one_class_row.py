# lossproof repro cross_entropy/float32/single/s1-mean/06bb9272 --target keras+torch
"""cross_entropy in float32, shape (1,), with Keras on torch alone."""
# Observed with keras 3.15.1, tensorflow-cpu 2.21.0, jax 0.10.2, jaxlib 0.10.2, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: IndexError: tuple index out of range
import os
os.environ["KERAS_BACKEND"] = "torch"
import keras
import torch

x = torch.tensor(list(map(float.fromhex, "0x1p-1".split())), dtype=torch.float32).reshape((1,))
target = torch.tensor([0], dtype=torch.int64).reshape(())

def f(x, target):
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum_over_batch_size", dtype="float32")(target, x)

exact, allowed = 0.0, 0.0
try:
    value = f(x, target)
    observed = value.tolist()
    right = abs(observed - exact) <= allowed
except Exception as error:
    observed, right = repr(error), False
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("keras", keras.__version__)
raise SystemExit(0 if right else 1)
