# lossproof repro cross_entropy/float64/descending/s3x5-ax0-sum-q-ls0.1/9bc2e195 --target keras+torch --simplify
"""cross_entropy in float64, shape (2, 1), with Keras on torch alone."""
# Observed with keras 3.15.1, tensorflow-cpu 2.21.0, jax 0.10.2, jaxlib 0.10.2, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: 0.7624618986159398
import os
os.environ["KERAS_BACKEND"] = "torch"
import keras
import torch

x = torch.tensor([0.0, 0.0], dtype=torch.float64).reshape((2, 1))
target = torch.tensor([1.0, 0.0], dtype=torch.float64).reshape((2, 1))

def f(x, target):
    return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1, axis=0, reduction="sum", dtype="float64")(target, x)

value = f(x, target)
observed = value.tolist()
exact, allowed = [0.6931471805599452, 0.6931471805599454], 2.1623424440005707e-15
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("keras", keras.__version__)
raise SystemExit(0 if right else 1)
