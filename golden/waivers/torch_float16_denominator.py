"""torch: the mean of float16 losses divides by a float16 count or weight sum; past 65504 loss and gradient become 0."""

import math
import sys

import torch
import torch.nn.functional as F  # noqa: N812

CASES = (
    # rows, weight, gap, exact loss log(1 + exp(-gap)), exact gradient p_1 / rows
    (65520, 1.0, 0.0, math.log(2.0), 1 / 131040),  # [0.693147180559945 +/- 4e-16], [7.63125763125763e-6 +/- 2e-21]
    (128, 1024.0, 2.0, 0.126928011042972, 0.000931272828297793),  # +/- 5e-16, +/- 5e-19
)

ok = True
for n, weight, gap, loss, gradient in CASES:
    x = torch.tensor([[gap, 0.0]], dtype=torch.float16).repeat(n, 1).requires_grad_()
    value = F.cross_entropy(x, torch.zeros(n, dtype=torch.int64), torch.full((2,), weight, dtype=torch.float16))
    value.backward()
    got, slope = value.item(), x.grad[0, 1].item()
    ok = ok and math.isclose(got, loss, rel_tol=0.02) and math.isclose(slope, gradient, rel_tol=0.02)
    print(
        f"{n} rows of weight {weight}: loss observed {got}, exact {loss}; gradient observed {slope}, exact {gradient}"
    )
print("torch", torch.__version__)
sys.exit(0 if ok else 1)
