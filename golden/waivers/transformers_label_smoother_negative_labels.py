# lossproof repro cross_entropy/float32/error/13-minus-one-mean-n2-k4-mean/9aa56ef3 --target transformers+label-smoother
"""cross_entropy in float32, shape (2, 4), with transformers alone."""
# Observed with transformers 5.24.0, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: 2.3897087574005127
import torch
from transformers.trainer_pt_utils import LabelSmoother

x = torch.tensor(list(map(float.fromhex, "0x1p-1 -0x1p+0 0x1p+1 0x1p-2 0x1.8p+0 0x0p+0 -0x1.8p-1 0x1p+0".split())), dtype=torch.float32).reshape((2, 4))
target = torch.tensor([-1, 2], dtype=torch.int64).reshape((2,))

try:
    x.requires_grad_()
    value = LabelSmoother(epsilon=0.0, ignore_index=-100)({"logits": x}, target, num_items_in_batch=None)
    observed = value.tolist()
    right = observed != observed
except Exception as error:
    observed, right = repr(error), True
print("value: observed", observed, "expected an error, as the input is invalid")
print("transformers", __import__("importlib.metadata").metadata.version("transformers"))
raise SystemExit(0 if right else 1)
