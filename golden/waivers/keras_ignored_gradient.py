# lossproof repro cross_entropy/float64/masked/s1x17x24-sum-ig255/4abb6329 --target keras+torch --output vjp --simplify
"""cross_entropy in float64, shape (1, 1, 3), with Keras on torch alone."""
# Observed with keras 3.3.3, tensorflow-cpu 2.21.0, jax 0.10.2, jaxlib 0.10.2, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: nan
import os
os.environ["KERAS_BACKEND"] = "torch"
import keras
import torch

keras.config.set_floatx("float64")
x = torch.tensor(list(map(float.fromhex, "0x0p+0 0x0p+0 -inf".split())), dtype=torch.float64).reshape((1, 1, 3))
target = torch.tensor([255], dtype=torch.int64).reshape((1, 1))
cotangent = torch.tensor([1.0], dtype=torch.float64).reshape(())

def f(x, target):
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255, reduction="sum")(target, x)

for leaf in [x]:
    leaf.requires_grad_()
value = f(x, target)
(vjp,) = torch.autograd.grad(value, [x], cotangent)
observed = vjp.tolist()[0][0][0]
exact, allowed = 0.0, 0.0
right = abs(observed - exact) <= allowed
print("vjp[0, 0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("keras", keras.__version__)
raise SystemExit(0 if right else 1)
