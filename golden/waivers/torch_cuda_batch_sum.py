# lossproof repro --call tests/calls/torch_cuda_batch_sum.json --target torch:cuda --output vjp --simplify
"""cross_entropy in bfloat16, shape (288, 2, 1), with torch alone."""
# Observed with torch 2.11.0+cu130, numpy 2.5.2, python 3.12.3: -0.001953125
import torch
import torch.nn.functional as F

x = torch.tensor([0.0] * 576, dtype=torch.bfloat16, device="cuda:0").reshape((288, 2, 1))
target = torch.tensor([0] * 288, dtype=torch.int64, device="cuda:0").reshape((288, 1))
cotangent = torch.tensor([1.0], dtype=torch.bfloat16, device="cuda:0").reshape(())

def f(x, target):
    return F.cross_entropy(x, target, ignore_index=-100, reduction="mean", label_smoothing=0.0)

for leaf in [x]:
    leaf.requires_grad_()
value = f(x, target)
(vjp,) = torch.autograd.grad(value, [x], cotangent)
observed = vjp.tolist()[0][0][0]
exact, allowed = [-0.0017361111111111112, -0.0017361111111111108], 0.00012158629716629478
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("vjp[0, 0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("torch", torch.__version__)
raise SystemExit(0 if right else 1)
