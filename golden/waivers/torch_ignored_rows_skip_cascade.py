# lossproof repro nll_loss/bfloat16/long_batch/n4112-k3-mean-ig-100/a3cef925 --target torch --output value --simplify
"""nll_loss in bfloat16, shape (109, 3), with torch alone."""
# Observed with torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: 0.96484375
import torch
import torch.nn.functional as F

x = torch.tensor(list(map(float.fromhex, "-0x1.fp-1 -0x1.fp-1 -0x1.cp-1".split() * 109)), dtype=torch.bfloat16).reshape((109, 3))
target = torch.tensor([-100, 1, -100, 0, -100, 2, -100, 1, -100, 0, -100, 2, -100, 1, -100, 0, -100, 2, -100, 1, -100, 0, -100, 2, -100, 1, -100, 0, -100, 2, -100, 1, -100, 0, -100, 2, -100, 1, -100, 0, -100, 2, -100, 1, -100, 0, -100, 2, -100, 1, -100, 0, -100, 2, -100, 1, -100, 0, -100, 2, -100, 1, -100, 0, -100, 2, -100, 1, -100, 0, -100, 2, -100, 1, -100, 0, -100, 2, -100, 1, -100, 0, -100, 2, -100, 1, -100, 0, -100, 2, -100, 1, -100, 0, -100, 2, -100, 1, -100, 0, -100, 2, -100, 1, -100, 0, -100, 2, -100], dtype=torch.int64).reshape((109,))

def f(x, target):
    return F.nll_loss(x, target, ignore_index=-100, reduction="mean")

value = f(x, target)
observed = value.tolist()
exact, allowed = 0.9375, 0.02581262811634368
right = abs(observed - exact) <= allowed
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("torch", torch.__version__)
raise SystemExit(0 if right else 1)
