# lossproof repro cross_entropy/float16/spread/n4096-k2-mean/21015e09 --target keras+torch --simplify
"""cross_entropy in float16, shape (1152, 2), with Keras on torch alone."""
# Observed with keras 3.15.1, tensorflow-cpu 2.21.0, jax 0.10.2, jaxlib 0.10.2, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: inf
import os
os.environ["KERAS_BACKEND"] = "torch"
import keras
import torch

x = torch.tensor([0.0, -64.0] * 1152, dtype=torch.float16).reshape((1152, 2))
target = torch.tensor([1] * 1152, dtype=torch.int64).reshape((1152,))

def f(x, target):
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum_over_batch_size", dtype="float16")(target, x)

value = f(x, target)
observed = value.tolist()
exact, allowed = [63.99999999999999, 64.00000000000001], 0.3499153022972751
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("keras", keras.__version__)
raise SystemExit(0 if right else 1)
