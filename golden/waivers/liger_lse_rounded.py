# lossproof check examples/liger_cross_entropy.py:cross_entropy --framework torch --rank 2 --target index --dtype float32
"""cross_entropy in float32, shape (1, 4), with liger-kernel alone, in the interpreter of Triton where there is no GPU."""
# Observed with liger-kernel 0.8.5, triton 3.9.0, torch 2.13.0+cpu, python 3.11.7: 1.9306640625
import os
from importlib.metadata import version

import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"
from liger_kernel.transformers.functional import liger_cross_entropy

place = "cuda" if torch.cuda.is_available() else "cpu"
x = torch.tensor([[4096.5, 4095.25, 4096.0, 4094.0]], dtype=torch.float32, device=place)
target = torch.tensor([1], device=place)

observed = liger_cross_entropy(x, target, reduction="none").tolist()[0]
exact, allowed = [1.9306293864663, 1.9306293864664], 1.1917987e-06
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0]: observed", observed, "exact", exact, "allowed error", allowed)
print("liger-kernel", version("liger-kernel"))
raise SystemExit(0 if right else 1)
