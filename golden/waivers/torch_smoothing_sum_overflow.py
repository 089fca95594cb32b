# lossproof repro cross_entropy/float64/scaled_overflow/n2-k4-mean-ls0.1/576f3f27 --target torch --simplify
"""cross_entropy in float64, shape (1, 3), with torch alone."""
# Observed with torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: inf
import torch
import torch.nn.functional as F

x = torch.tensor(list(map(float.fromhex, "0x0p+0 0x1p+1023 0x0p+0".split())), dtype=torch.float64).reshape((1, 3))
target = torch.tensor([0], dtype=torch.int64).reshape((1,))

def f(x, target):
    return F.cross_entropy(x, target, ignore_index=-100, reduction="mean", label_smoothing=0.1)

value = f(x, target)
observed = value.tolist()
exact, allowed = [8.688850151834526e+307, 8.688850151834528e+307], 1.6399154543358548e+293
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("torch", torch.__version__)
raise SystemExit(0 if right else 1)
