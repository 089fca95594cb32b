"""nll_loss in bfloat16 of 16 384 equal rows of which every other one is ignored, with torch alone."""
# Observed with torch 2.13.0+cpu, python 3.11.7: 0.0625 if the even rows are ignored, 1.5 if the odd ones are
import torch
import torch.nn.functional as F

x = torch.full((16384, 2), -1.5, dtype=torch.bfloat16)

def mean(first):
    target = torch.zeros(16384, dtype=torch.int64)
    target[first::2] = -100
    return F.nll_loss(x, target, ignore_index=-100, reduction="mean").item()

observed, other = mean(0), mean(1)
# All rows are equal: which of them are ignored makes no difference to their mean.
right = observed == other
print("even rows ignored:", observed, "odd rows ignored:", other, "exact", 1.5)
print("torch", torch.__version__)
raise SystemExit(0 if right else 1)
