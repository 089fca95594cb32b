"""torch: label smoothing sums log-probabilities before it multiplies by eps / K, and the sum overflows."""

import math
import sys

import torch
import torch.nn.functional as F  # noqa: N812

# One logit v ahead of K - 1 zeros, the target on it: eps (K - 1)/K v + log(1 + (K - 1) exp(-v)).
CASES = (
    (torch.float64, 4, 1e308, 7.5e306),  # +/- 5e290
    (torch.float32, 4, 3e38, 2.25000000412332e37),  # +/- 5e22; the logit is 3.0000000054977558e38
    (torch.bfloat16, 4, 3e38, 2.25304145285543e37),  # +/- 5e22; the logit is 3.00405527047391e38
    (torch.float16, 1000, 80.0, 7.992),  # +/- 5e-16
)

ok = True
for dtype, k, v, exact in CASES:
    x = torch.zeros(1, k, dtype=dtype)
    x[0, 0] = v
    got = F.cross_entropy(x, torch.tensor([0]), label_smoothing=0.1).item()
    ok = ok and math.isclose(got, exact, rel_tol=0.02)
    print(f"{dtype}, K = {k}, logit {x[0, 0].item()!r}: observed {got}, exact {exact}")
print("torch", torch.__version__)
sys.exit(0 if ok else 1)
