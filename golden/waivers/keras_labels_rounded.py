# lossproof repro cross_entropy/bfloat16/confident/n4-k1000-mean/1409e314 --target keras+torch --simplify
"""cross_entropy in bfloat16, shape (1, 329), with Keras on torch alone."""
# Observed with keras 3.15.1, tensorflow-cpu 2.21.0, jax 0.10.2, jaxlib 0.10.2, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: 24.0
import os
os.environ["KERAS_BACKEND"] = "torch"
import keras
import torch

x = torch.tensor([0.0] * 289 + [24.0] + [0.0] * 39, dtype=torch.bfloat16).reshape((1, 329))
target = torch.tensor([289], dtype=torch.int64).reshape((1,))

def f(x, target):
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum_over_batch_size", dtype="bfloat16")(target, x)

value = f(x, target)
observed = value.tolist()
exact, allowed = [1.2382441228573013e-08, 1.2382441228573017e-08], 0.008190721385120545
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("keras", keras.__version__)
raise SystemExit(0 if right else 1)
