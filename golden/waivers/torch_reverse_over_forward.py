# lossproof repro log_softmax/float32/equal/n2-k4-t/c9b6dff9 --target torch+reverse-over-forward --output hvp --simplify
"""log_softmax in float32, shape (1, 1), with torch alone. Second derivatives by reverse mode over forward mode."""
# Observed with torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: RuntimeError: one of the variables needed for gradient computation has been modified by an inplac...
import torch
import torch.autograd.forward_ad as fw
import torch.nn.functional as F
x = torch.tensor([0.0], dtype=torch.float32).reshape((1, 1))
cotangent = torch.tensor([1.0], dtype=torch.float32).reshape((1, 1))
tangent = torch.tensor([1.0], dtype=torch.float32).reshape((1, 1))
def f(x, target=None):
    return F.log_softmax(x, dim=-1)
exact, allowed = 0.0, 1.7285376774413637e-06
try:
    for leaf in [x]:
        leaf.requires_grad_()
    value = f(x)
    (vjp,) = torch.autograd.grad(value, [x], cotangent)
    x = x.detach().requires_grad_()
    with fw.dual_level():
        slope = fw.unpack_dual(f(fw.make_dual(x, tangent))).tangent
        (hvp,) = torch.autograd.grad(slope, x, cotangent)
    observed = hvp.tolist()[0][0]
    right = abs(observed - exact) <= allowed
except Exception as error:
    observed, right = repr(error), False
print("hvp[0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("torch", torch.__version__)
raise SystemExit(0 if right else 1)
