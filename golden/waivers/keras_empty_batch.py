# lossproof repro cross_entropy/float32/ordinary/n0-k4-sum/8bd5badf --target keras+torch --output value --simplify
"""cross_entropy in float32, shape (0, 1), with Keras on torch alone."""
# Observed with keras 3.15.1, tensorflow-cpu 2.21.0, jax 0.10.2, jaxlib 0.10.2, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: shape (0,), float32
import os
os.environ["KERAS_BACKEND"] = "torch"
import keras
import torch

x = torch.tensor([], dtype=torch.float32).reshape((0, 1))
target = torch.tensor([], dtype=torch.int64).reshape((0,))

def f(x, target):
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum", dtype="float32")(target, x)

value = f(x, target)
observed = tuple(value.shape)
right = observed == ()
print("shape of value: observed", observed, "expected", ())
print("keras", keras.__version__)
raise SystemExit(0 if right else 1)
