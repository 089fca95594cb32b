"""torch: _softmax and _log_softmax write a result that goes into a given tensor as if that were contiguous."""

import sys

import torch

x = torch.tensor([[0.0, 1.0, 2.0], [3.0, 5.0, 4.0]])
exact = torch.tensor([[0.09003057, 0.24472848, 0.66524094], [0.09003057, 0.66524094, 0.24472848]])
ok = True
for how, out in (("transposed", torch.zeros(3, 2).t()), ("every other entry", torch.zeros(2, 6)[:, ::2])):
    for name, wanted in (("_softmax", exact), ("_log_softmax", exact.log())):
        getattr(torch, name)(x, 1, False, out=out)
        ok = ok and torch.allclose(out, wanted, atol=1e-6)
        print(f"{name} into a tensor that is {how}: observed {out.tolist()}, exact {wanted.tolist()}")
print("torch", torch.__version__)
sys.exit(0 if ok else 1)
