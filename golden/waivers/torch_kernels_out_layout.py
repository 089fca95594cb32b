# lossproof repro softmax/float32/hot/s3x5x4-ax1-transposed/0eeadf63 --target torch+kernels --simplify
"""softmax in float32, shape (1, 2, 2), with torch alone. The kernels themselves, their results laid out as the input."""
# Observed with torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: 0.9999938011169434
import torch

x = torch.tensor([12.0, 12.0, 0.0, 0.0], dtype=torch.float32).reshape((1, 2, 2))
x = x.new_full((4,), float('nan')).as_strided((1, 2, 2), (4, 1, 2), 0).copy_(x)

value = torch._softmax(x, 1, False, out=x.new_full((4,), float('nan')).as_strided((1, 2, 2), (4, 1, 2), 0))
observed = value.tolist()[0][1][0]
exact, allowed = [6.144174602214717e-06, 6.144174602214719e-06], 1.3550254389613254e-11
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0, 1, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("torch", torch.__version__)
raise SystemExit(0 if right else 1)
