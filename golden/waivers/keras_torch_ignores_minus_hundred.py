# lossproof repro cross_entropy/float32/error/13-minus-hundred-n2-k4-none/631aa09a --target keras+torch --simplify
"""cross_entropy in float32, shape (2, 4), with Keras on torch alone."""
# Observed with keras 3.15.1, tensorflow-cpu 2.21.0, jax 0.10.2, jaxlib 0.10.2, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: 0.0
import os
os.environ["KERAS_BACKEND"] = "torch"
import keras
import torch

x = torch.tensor(list(map(float.fromhex, "0x1p-1 -0x1p+0 0x1p+1 0x1p-2 0x1.8p+0 0x0p+0 -0x1.8p-1 0x1p+0".split())), dtype=torch.float32).reshape((2, 4))
target = torch.tensor([-100, 2], dtype=torch.int64).reshape((2,))

def f(x, target):
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=None, dtype="float32")(target, x)

try:
    for leaf in [x]:
        leaf.requires_grad_()
    value = f(x, target)
    observed = value.tolist()[0]
    right = observed != observed
except Exception as error:
    observed, right = repr(error), True
print("value: observed", observed, "expected an error, as the input is invalid")
print("keras", keras.__version__)
raise SystemExit(0 if right else 1)
