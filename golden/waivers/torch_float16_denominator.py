# lossproof repro cross_entropy/float16/long_batch/n100000-k2-mean/68582ac5 --target torch --output vjp --simplify
"""cross_entropy in float16, shape (65625, 2), with torch alone."""
# Observed with torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: 0.0
import torch
import torch.nn.functional as F

x = torch.tensor([0.0, 0.0] * 65625, dtype=torch.float16).reshape((65625, 2))
target = torch.tensor([1] * 65625, dtype=torch.int64).reshape((65625,))
cotangent = torch.tensor([1.0], dtype=torch.float16).reshape(())

def f(x, target):
    return F.cross_entropy(x, target, ignore_index=-100, reduction="mean", label_smoothing=0.0)

for leaf in [x]:
    leaf.requires_grad_()
value = f(x, target)
(vjp,) = torch.autograd.grad(value, [x], cotangent)
observed = vjp.tolist()[0][0]
exact, allowed = [7.619047619047594e-06, 7.619047619047643e-06], 2.588709262108468e-07
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("vjp[0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("torch", torch.__version__)
raise SystemExit(0 if right else 1)
