# lossproof repro nll_loss/float32/positive_infinity/s1x17x24-ax1-mean-w-ig4294967296/160abd59 --target torch:cuda --simplify --deck smoke
"""nll_loss in float32, shape (1, 1, 2), with torch alone."""
# Observed with torch 2.11.0+cu130, numpy 2.5.2, python 3.12.3: 0.0625
import torch
import torch.nn.functional as F

x = torch.tensor(list(map(float.fromhex, "0x0p+0 -0x1p-3".split())), dtype=torch.float32, device="cuda:0").reshape((1, 1, 2))
target = torch.tensor([0, 4294967296], dtype=torch.int64, device="cuda:0").reshape((1, 2))

def f(x, target):
    return F.nll_loss(x, target, ignore_index=4294967296, reduction="mean")

value = f(x, target)
observed = value.tolist()
exact, allowed = 0.0, 1.0579451049163205e-37
right = abs(observed - exact) <= allowed
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("torch", torch.__version__)
raise SystemExit(0 if right else 1)
