# lossproof repro cross_entropy/float32/error/10-no-rows-none-n0-k4-none/f6d37e54 --target liger_kernel
"""cross_entropy in float32, shape (0, 4), with liger_kernel alone."""
# Observed with liger_kernel 0.8.5, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: RuntimeError: max(): Expected reduction dim to be specified for input.numel() == 0. Specify the r...
import torch
import os
os.environ["TRITON_INTERPRET"] = "1"
from liger_kernel.transformers.functional import liger_cross_entropy

x = torch.tensor([], dtype=torch.float32).reshape((0, 4))
target = torch.tensor([], dtype=torch.int64).reshape((0,))
cotangent = torch.tensor([], dtype=torch.float32).reshape((0,))

try:
    x.requires_grad_()
    value = liger_cross_entropy(x.clone(), target, weight=None, ignore_index=-100, label_smoothing=0.0, reduction="none")
    (vjp,) = torch.autograd.grad(value, [x], cotangent)
    observed = value.tolist()
    right = True
except Exception as error:
    observed, right = repr(error), False
print("value: observed", observed, "expected an answer")
print("liger_kernel", __import__("importlib.metadata").metadata.version("liger_kernel"))
raise SystemExit(0 if right else 1)
