# lossproof repro cross_entropy/bfloat16/ordinary/s1x2x3x1x2x4x1-ax1-mean-w-ig4294967296/e5325df5 --target fastai --simplify
"""cross_entropy in bfloat16, shape (1, 2, 2, 1, 1, 2, 1), with fastai alone."""
# Observed with fastai 2.8.12, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: 0.69140625
import torch
from fastai.losses import CrossEntropyLossFlat

x = torch.tensor([0.0, 2.0] + [0.0] * 6, dtype=torch.bfloat16).reshape((1, 2, 2, 1, 1, 2, 1))
target = torch.tensor([0, 1, 4294967296, 4294967296], dtype=torch.int64).reshape((1, 2, 1, 1, 2, 1))

value = CrossEntropyLossFlat(axis=1, weight=None, ignore_index=4294967296, label_smoothing=0.0, reduction="mean")(x, target)
observed = value.tolist()
exact, allowed = [1.4100375958014586, 1.410037595801459], 0.07029062506028809
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("fastai", __import__("importlib.metadata").metadata.version("fastai"))
raise SystemExit(0 if right else 1)
