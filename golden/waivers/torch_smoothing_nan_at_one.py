"""torch: cross_entropy with label_smoothing=1 and a target masked at -inf is NaN where the loss is +inf."""

import math
import sys

import torch
import torch.nn.functional as F  # noqa: N812

# q' = 1/3 for every class, also for the masked one: -(1/3) log 0 = +inf, and the other two terms are finite.
EXACT = math.inf

ok = True
for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
    x = torch.tensor([[0.0, -math.inf, 1.0]], dtype=dtype)
    got = F.cross_entropy(x, torch.tensor([1]), label_smoothing=1.0).item()
    ok = ok and got == EXACT
    print(f"{dtype}: observed {got}, exact {EXACT}")
print("torch", torch.__version__)
sys.exit(0 if ok else 1)
