# lossproof repro cross_entropy/float64/two_level/n4096-k2-mean-ig-9223372036854775808/42775466 --target keras+torch --simplify
"""cross_entropy in float64, shape (1, 2), with Keras on torch alone."""
# Observed with keras 3.3.3, tensorflow-cpu 2.21.0, jax 0.10.2, jaxlib 0.10.2, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: 0.6931471112452341
import os
os.environ["KERAS_BACKEND"] = "torch"
import keras
import torch

keras.config.set_floatx("float64")
x = torch.tensor([0.0, 0.0], dtype=torch.float64).reshape((1, 2))
target = torch.tensor([1], dtype=torch.int64).reshape((1,))

def f(x, target):
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-9223372036854775808, reduction="sum_over_batch_size")(target, x)

value = f(x, target)
observed = value.tolist()
exact, allowed = [0.6931471805599452, 0.6931471805599454], 1.8545232602756247e-15
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("keras", keras.__version__)
raise SystemExit(0 if right else 1)
