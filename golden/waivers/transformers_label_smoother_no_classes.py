# lossproof repro cross_entropy/float32/error/10-nothing-value-label-sum-n0-k0-sum/cdcfd4d2 --target transformers+label-smoother
"""cross_entropy in float32, shape (0, 0), with transformers alone."""
# Observed with transformers 5.24.0, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: nan
import torch
from transformers.trainer_pt_utils import LabelSmoother

x = torch.tensor([], dtype=torch.float32).reshape((0, 0))
target = torch.tensor([], dtype=torch.int64).reshape((0,))

try:
    value = LabelSmoother(epsilon=0.0, ignore_index=-100)({"logits": x}, target, num_items_in_batch=1)
    observed = value.tolist()
    right = observed == observed
except Exception as error:
    observed, right = repr(error), True
print("value: observed", observed, "expected an error, as the input is invalid")
print("transformers", __import__("importlib.metadata").metadata.version("transformers"))
raise SystemExit(0 if right else 1)
