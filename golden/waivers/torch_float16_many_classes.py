"""torch: from 65520 equal logits on, float16 log_softmax is -inf; softmax of the same row is right."""

import math
import sys

import torch
import torch.nn.functional as F  # noqa: N812

K = 70000
EXACT = -math.log(K)  # [-11.1562505210315 +/- 4e-15]

x = torch.zeros(1, K, dtype=torch.float16)
got = F.log_softmax(x, 1)[0, 0].item()
loss = F.cross_entropy(x, torch.tensor([0])).item()
print(f"log_softmax: observed {got}, exact {EXACT}")
print(f"cross_entropy: observed {loss}, exact {-EXACT}")
print(f"softmax: observed {F.softmax(x, 1)[0, 0].item()}, exact {1 / K}")
print("torch", torch.__version__)
sys.exit(0 if abs(got - EXACT) < 0.02 and abs(loss + EXACT) < 0.02 else 1)
