# lossproof repro cross_entropy/float32/scaled_overflow/n3-k5-none-ls0.3/4f2bb6b2 --target fairseq2 --simplify
"""cross_entropy in float32, shape (1, 3), with fairseq2 alone."""
# Observed with fairseq2 0.8.1, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: inf
import torch
import importlib.util, sys
folder = importlib.util.find_spec("fairseq2").submodule_search_locations[0]
spec = importlib.util.spec_from_file_location("fairseq2_cross_entropy", folder + "/nn/functional/cross_entropy.py")
sys.modules[spec.name] = cross_entropy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cross_entropy)

x = torch.tensor(list(map(float.fromhex, "0x0p+0 0x0p+0 0x1p+127".split())), dtype=torch.float32).reshape((1, 3))
target = torch.tensor([0], dtype=torch.int64).reshape((1,))

value = cross_entropy.cross_entropy(x, target, pad_idx=-100, reduction="none", label_smoothing=0.3 * 2 / 3)
observed = value.tolist()[0]
exact, allowed = [1.531270651144223e+38, 1.5312706511442233e+38], 1.0039796480331582e+32
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0]: observed", observed, "exact", exact, "allowed error", allowed)
print("fairseq2", __import__("importlib.metadata").metadata.version("fairseq2"))
raise SystemExit(0 if right else 1)
