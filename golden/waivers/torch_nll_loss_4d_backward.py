"""torch: the backward pass of nll_loss raises for a 4-dimensional input that is not contiguous."""

import sys

import torch
import torch.nn.functional as F  # noqa: N812

ok = True
for shape in ((2, 4, 5), (2, 3, 4, 5), (2, 3, 4, 2, 5)):
    x = torch.zeros(shape, requires_grad=True)
    labels = torch.zeros(shape[:-1], dtype=torch.int64)
    exact = -1 / labels.numel()  # at the entry of each label
    try:
        F.nll_loss(x.movedim(-1, 1), labels).backward()
        got = x.grad.reshape(-1)[0].item()
    except RuntimeError as error:
        got = f"RuntimeError: {error}"
    ok = ok and isinstance(got, float) and abs(got - exact) < 1e-6
    print(f"{len(shape)} dimensions: observed {got}, exact {exact}")
print("torch", torch.__version__)
sys.exit(0 if ok else 1)
