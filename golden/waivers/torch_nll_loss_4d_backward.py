# lossproof repro nll_loss/float64/ordinary/s2x3x4x5-ax2-mean-w/77ab8cd3 --target torch --simplify
"""nll_loss in float64, shape (1, 2, 2, 1), with torch alone."""
# Observed with torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: RuntimeError: grad_input must be contiguous
import torch
import torch.nn.functional as F

x = torch.tensor([0.0] * 4, dtype=torch.float64).reshape((1, 2, 2, 1))
target = torch.tensor([1, 1], dtype=torch.int64).reshape((1, 2, 1))
cotangent = torch.tensor([1.0], dtype=torch.float64).reshape(())

def f(x, target):
    return F.nll_loss(x.movedim(2, 1), target, ignore_index=-100, reduction="mean")

exact, allowed = 0.0, 0.0
try:
    for leaf in [x]:
        leaf.requires_grad_()
    value = f(x, target)
    (vjp,) = torch.autograd.grad(value, [x], cotangent)
    observed = vjp.tolist()[0][0][0][0]
    right = abs(observed - exact) <= allowed
except Exception as error:
    observed, right = repr(error), False
print("vjp[0, 0, 0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("torch", torch.__version__)
raise SystemExit(0 if right else 1)
