# lossproof repro cross_entropy/float16/masked_target/s1x17x24-mean-ls1-ig24/e67ab419 --target torch --simplify
"""cross_entropy in float16, shape (1, 1, 2), with torch alone."""
# Observed with torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: nan
import torch
import torch.nn.functional as F

x = torch.tensor(list(map(float.fromhex, "-inf 0x0p+0".split())), dtype=torch.float16).reshape((1, 1, 2))
target = torch.tensor([0], dtype=torch.int64).reshape((1, 1))

def f(x, target):
    return F.cross_entropy(x.movedim(-1, 1), target, ignore_index=-100, reduction="mean", label_smoothing=1.0)

value = f(x, target)
observed = value.tolist()
exact, allowed = float("inf"), 0.0
right = observed == exact
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("torch", torch.__version__)
raise SystemExit(0 if right else 1)
