# lossproof repro cross_entropy/float32/rows_apart/n2-k4-none/cc4d91bf --target liger_kernel --simplify
"""cross_entropy in float32, shape (1, 2), with liger_kernel alone."""
# Observed with liger_kernel 0.8.5, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: 0.693359375
import torch
import os
os.environ["TRITON_INTERPRET"] = "1"
from liger_kernel.transformers.functional import liger_cross_entropy

x = torch.tensor([-10240.0, -10240.0], dtype=torch.float32).reshape((1, 2))
target = torch.tensor([1], dtype=torch.int64).reshape((1,))

value = liger_cross_entropy(x.clone(), target, weight=None, ignore_index=-100, label_smoothing=0.0, reduction="none")
observed = value.tolist()[0]
exact, allowed = [0.6931471805599452, 0.6931471805599454], 8.303807899207237e-07
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0]: observed", observed, "exact", exact, "allowed error", allowed)
print("liger_kernel", __import__("importlib.metadata").metadata.version("liger_kernel"))
raise SystemExit(0 if right else 1)
