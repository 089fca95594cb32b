# lossproof repro cross_entropy/float32/scaled_overflow/n2-k4-mean-ls0.1/bcac599f --target transformers+label-smoother --simplify
"""cross_entropy in float32, shape (1, 3), with transformers alone."""
# Observed with transformers 5.24.0, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: nan
import torch
from transformers.trainer_pt_utils import LabelSmoother

x = torch.tensor(list(map(float.fromhex, "0x0p+0 0x1p+127 0x0p+0".split())), dtype=torch.float32).reshape((1, 3))
target = torch.tensor([0], dtype=torch.int64).reshape((1,))

value = LabelSmoother(epsilon=0.0, ignore_index=-100)({"logits": x}, target, num_items_in_batch=None)
observed = value.tolist()
exact, allowed = [1.7014118346046921e+38, 1.7014118346046927e+38], 7.09884435864843e+31
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("transformers", __import__("importlib.metadata").metadata.version("transformers"))
raise SystemExit(0 if right else 1)
