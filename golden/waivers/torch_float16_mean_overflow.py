# lossproof repro cross_entropy/float16/spread/n4096-k2-mean/21015e09 --target torch --simplify
"""cross_entropy in float16, shape (1152, 2), with torch alone."""
# Observed with torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: inf
import torch
import torch.nn.functional as F

x = torch.tensor([0.0, -64.0] * 1152, dtype=torch.float16).reshape((1152, 2))
target = torch.tensor([1] * 1152, dtype=torch.int64).reshape((1152,))

def f(x, target):
    return F.cross_entropy(x, target, ignore_index=-100, reduction="mean", label_smoothing=0.0)

value = f(x, target)
observed = value.tolist()
exact, allowed = [63.99999999999999, 64.00000000000001], 0.3499153022972751
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("torch", torch.__version__)
raise SystemExit(0 if right else 1)
