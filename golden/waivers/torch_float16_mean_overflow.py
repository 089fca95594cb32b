"""torch: the mean of float16 losses overflows although the mean itself is 20."""

import sys

import torch
import torch.nn.functional as F  # noqa: N812

N = 8192
EXACT = 20.0  # log(1 + exp(20)) = [20.0000000020612 +/- 5e-14] in every row

x = torch.tensor([[20.0, 0.0]], dtype=torch.float16).repeat(N, 1)
labels = torch.ones(N, dtype=torch.int64)
rows = F.cross_entropy(x, labels, reduction="none")
observed = {
    "cross_entropy, mean": F.cross_entropy(x, labels),
    "cross_entropy with probabilities, mean": F.cross_entropy(x, F.one_hot(labels).to(x.dtype)),
    "nll_loss, mean": F.nll_loss(F.log_softmax(x, 1), labels),
    "cross_entropy, none, then torch.mean": rows.mean(),
}
for name, value in observed.items():
    print(f"{name}: observed {value.item()}, exact {EXACT}")
print("torch", torch.__version__)
sys.exit(0 if all(abs(value.item() - EXACT) < 0.1 for value in observed.values()) else 1)
