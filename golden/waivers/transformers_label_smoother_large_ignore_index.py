# lossproof repro cross_entropy/float32/spread/n2-k4-sum-ig4294967296/ea3e865a --target transformers+label-smoother --simplify
"""cross_entropy in float32, shape (1, 1), with transformers alone."""
# Observed with transformers 5.24.0, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: RuntimeError: index 4294967296 is out of bounds for dimension 1 with size 1
import torch
from transformers.trainer_pt_utils import LabelSmoother

x = torch.tensor([0.0], dtype=torch.float32).reshape((1, 1))
target = torch.tensor([4294967296], dtype=torch.int64).reshape((1,))

exact, allowed = 0.0, 0.0
try:
    value = LabelSmoother(epsilon=0.0, ignore_index=4294967296)({"logits": x}, target, num_items_in_batch=1)
    observed = value.tolist()
    right = abs(observed - exact) <= allowed
except Exception as error:
    observed, right = repr(error), False
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("transformers", __import__("importlib.metadata").metadata.version("transformers"))
raise SystemExit(0 if right else 1)
