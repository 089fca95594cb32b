# lossproof repro cross_entropy/float32/error/15-weight-short-n2-k4-none-w/b556caee --target torch_linear+chunked
"""cross_entropy in float32, shape (2, 4), with torch alone."""
# Observed with torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: 3.369279146194458
import torch

x = torch.tensor(list(map(float.fromhex, "0x1p-1 -0x1p+0 0x1p+1 0x1p-2 0x1.8p+0 0x0p+0 -0x1.8p-1 0x1p+0".split())), dtype=torch.float32).reshape((2, 4))
target = torch.tensor([1, 2], dtype=torch.int64).reshape((2,))
weight = torch.tensor([1.0, 1.0, 1.0], dtype=torch.float32).reshape((3,))

try:
    value = torch.nn.functional.linear_cross_entropy(x, torch.eye(4, dtype=x.dtype, device=x.device), target, weight=weight, ignore_index=-100, label_smoothing=0.0, reduction="none", options=torch.nn.LinearCrossEntropyOptions(allow_retain_graph=True))
    observed = value.tolist()[0]
    right = observed != observed
except Exception as error:
    observed, right = repr(error), True
print("value: observed", observed, "expected an error, as the input is invalid")
print("torch", __import__("importlib.metadata").metadata.version("torch"))
raise SystemExit(0 if right else 1)
