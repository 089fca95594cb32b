# lossproof repro cross_entropy/float32/error/13-minus-one-mean-n2-k4-mean/9aa56ef3 --target torchmetrics
"""cross_entropy in float32, shape (2, 4), with torchmetrics alone."""
# Observed with torchmetrics 1.9.0, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: 2.5147087574005127
import torch
import operator
from torchmetrics.functional.text.perplexity import _perplexity_update

x = torch.tensor(list(map(float.fromhex, "0x1p-1 -0x1p+0 0x1p+1 0x1p-2 0x1.8p+0 0x0p+0 -0x1.8p-1 0x1p+0".split())), dtype=torch.float32).reshape((2, 4))
target = torch.tensor([-1, 2], dtype=torch.int64).reshape((2,))

try:
    x.requires_grad_()
    value = operator.truediv(*_perplexity_update(x[None], target[None], None))
    observed = value.tolist()
    right = observed != observed
except Exception as error:
    observed, right = repr(error), True
print("value: observed", observed, "expected an error, as the input is invalid")
print("torchmetrics", __import__("importlib.metadata").metadata.version("torchmetrics"))
raise SystemExit(0 if right else 1)
