# lossproof repro cross_entropy/float32/error/15-labels-long-n2-k4-none/c1e8f9f4 --target liger_kernel
"""cross_entropy in float32, shape (2, 4), with liger_kernel alone."""
# Observed with liger_kernel 0.8.5, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: 3.369279146194458
import torch
import os
os.environ["TRITON_INTERPRET"] = "1"
from liger_kernel.transformers.functional import liger_cross_entropy

x = torch.tensor(list(map(float.fromhex, "0x1p-1 -0x1p+0 0x1p+1 0x1p-2 0x1.8p+0 0x0p+0 -0x1.8p-1 0x1p+0".split())), dtype=torch.float32).reshape((2, 4))
target = torch.tensor([1, 2, 3], dtype=torch.int64).reshape((3,))

try:
    value = liger_cross_entropy(x.clone(), target, weight=None, ignore_index=-100, label_smoothing=0.0, reduction="none")
    observed = value.tolist()[0]
    right = observed != observed
except Exception as error:
    observed, right = repr(error), True
print("value: observed", observed, "expected an error, as the input is invalid")
print("liger_kernel", __import__("importlib.metadata").metadata.version("liger_kernel"))
raise SystemExit(0 if right else 1)
