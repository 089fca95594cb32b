# lossproof repro log_softmax/float16/equal/n1-k70000/62a74c75 --target torch --simplify
"""log_softmax in float16, shape (1, 70000), with torch alone."""
# Observed with torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: -inf
import torch
import torch.nn.functional as F

x = torch.tensor([0.0] * 70000, dtype=torch.float16).reshape((1, 70000))

def f(x, target=None):
    return F.log_softmax(x, dim=-1)

value = f(x)
observed = value.tolist()[0][0]
exact, allowed = [-11.156250521039281, -11.15625052102371], 0.016057334100049604
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("torch", torch.__version__)
raise SystemExit(0 if right else 1)
