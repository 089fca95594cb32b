# lossproof repro cross_entropy/float32/scaled_overflow/n2-k4-mean-ls0.1/bcac599f --target fastai+label-smoothing --simplify
"""cross_entropy in float32, shape (1, 3), with fastai alone."""
# Observed with fastai 2.8.12, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: nan
import torch
from fastai.losses import LabelSmoothingCrossEntropyFlat

x = torch.tensor(list(map(float.fromhex, "0x0p+0 0x1p+127 0x0p+0".split())), dtype=torch.float32).reshape((1, 3))
target = torch.tensor([0], dtype=torch.int64).reshape((1,))

value = LabelSmoothingCrossEntropyFlat(axis=-1, eps=0.0, reduction="mean")(x, target)
observed = value.tolist()
exact, allowed = [1.7014118346046921e+38, 1.7014118346046927e+38], 7.09884435864843e+31
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("fastai", __import__("importlib.metadata").metadata.version("fastai"))
raise SystemExit(0 if right else 1)
