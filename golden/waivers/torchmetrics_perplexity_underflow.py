# lossproof repro cross_entropy/float32/cliff/n2-k4-mean/3b78265e --target torchmetrics --simplify
"""cross_entropy in float32, shape (1, 2), with torchmetrics alone."""
# Observed with torchmetrics 1.9.0, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: inf
import torch
import operator
from torchmetrics.functional.text.perplexity import _perplexity_update

x = torch.tensor([0.0, -104.0], dtype=torch.float32).reshape((1, 2))
target = torch.tensor([1], dtype=torch.int64).reshape((1,))

value = operator.truediv(*_perplexity_update(x[None], target[None], None))
observed = value.tolist()
exact, allowed = [103.99999999999999, 104.00000000000001], 4.380942042207682e-05
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("torchmetrics", __import__("importlib.metadata").metadata.version("torchmetrics"))
raise SystemExit(0 if right else 1)
