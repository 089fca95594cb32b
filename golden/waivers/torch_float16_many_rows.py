"""torch: from 65520 rows on, the mean of float16 losses and its gradient are silently 0."""

import math
import sys

import torch
import torch.nn.functional as F  # noqa: N812

N = 65520
LOSS = math.log(2.0)  # two equal logits in every row: [0.693147180559945 +/- 4e-16]
GRADIENT = 1 / (2 * N)  # of the class that is not the label: [7.63125763125763e-6 +/- 2e-21]; float16 holds 7.63e-6

x = torch.zeros(N, 2, dtype=torch.float16, requires_grad=True)
labels = torch.zeros(N, dtype=torch.int64)
loss = F.cross_entropy(x, labels)
loss.backward()
gradient = x.grad[0, 1].item()
print(f"loss: observed {loss.item()}, exact {LOSS}")
print(f"gradient: observed {gradient}, exact {GRADIENT}")
print("torch", torch.__version__)
sys.exit(0 if abs(loss.item() - LOSS) < 0.01 and abs(gradient - GRADIENT) < 1e-7 else 1)
