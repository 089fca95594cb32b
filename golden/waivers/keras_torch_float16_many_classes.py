# lossproof repro cross_entropy/float16/equal/n1-k70000-none-q-ls0.1/3e7f5145 --target keras+torch
"""cross_entropy in float16, shape (1, 70000), with Keras on torch alone."""
# Observed with keras 3.15.1, tensorflow-cpu 2.21.0, jax 0.10.2, jaxlib 0.10.2, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: nan
import os
os.environ["KERAS_BACKEND"] = "torch"
import keras
import torch

x = torch.tensor([-3.0] * 70000, dtype=torch.float16).reshape((1, 70000))
target = torch.tensor(list(map(float.fromhex, ["0x0p+0"] * 2243 + "0x1.dp-3".split() + ["0x0p+0"] * 11665 + "0x1.ap-4".split() + ["0x0p+0"] * 11665 + "0x1.2p-2".split() + ["0x0p+0"] * 11665 + "0x1.1p-3".split() + ["0x0p+0"] * 11665 + "0x1.ep-4".split() + ["0x0p+0"] * 11669 + "0x1.2p-3".split() + ["0x0p+0"] * 9422)), dtype=torch.float16).reshape((1, 70000))

def f(x, target):
    return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1, reduction=None, dtype="float16")(target, x)

value = f(x, target)
observed = value.tolist()[0]
exact, allowed = [11.156250520937002, 11.156250521125989], 0.3943251190601438
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0]: observed", observed, "exact", exact, "allowed error", allowed)
print("keras", keras.__version__)
raise SystemExit(0 if right else 1)
