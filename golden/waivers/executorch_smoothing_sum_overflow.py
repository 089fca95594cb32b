# lossproof repro cross_entropy/float16/scaled_overflow/n2-k4-mean-ls0.000977-w-ig9223372036854775807/792a5782 --target executorch --simplify --deck smoke
"""cross_entropy in float16, shape (1, 3), with torch and executorch alone."""
# Observed with executorch 1.5.1, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: inf
import torch
import torch.nn.functional as F
from executorch.exir import to_edge
from executorch.runtime import Runtime

x = torch.tensor([0.0, 32768.0, 0.0], dtype=torch.float16).reshape((1, 3))
target = torch.tensor([0], dtype=torch.int64).reshape((1,))

class Called(torch.nn.Module):
    def forward(self, x, target):
        return F.cross_entropy(x, target, ignore_index=-100, reduction="mean", label_smoothing=0.0009765625)

exported = torch.export.export(Called(), (x, target,))
made = to_edge(exported).to_executorch()
program = Runtime.get().load_program(made.buffer)
(value,) = program.load_method("forward").execute([x, target])
observed = value.tolist()
exact, allowed = [32757.33333333333, 32757.333333333336], 273.0185212330001
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("executorch", __import__("importlib.metadata").metadata.version("executorch"))
raise SystemExit(0 if right else 1)
