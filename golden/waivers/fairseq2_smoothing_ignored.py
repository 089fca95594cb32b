# lossproof repro cross_entropy/float32/ordinary/n3-k5-sum-ls0.1-ig-100/536f7c86 --target fairseq2 --simplify
"""cross_entropy in float32, shape (1, 2), with fairseq2 alone."""
# Observed with fairseq2 0.8.1, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: RuntimeError: index -100 is out of bounds for dimension 1 with size 2
import torch
import importlib.util, sys
folder = importlib.util.find_spec("fairseq2").submodule_search_locations[0]
spec = importlib.util.spec_from_file_location("fairseq2_cross_entropy", folder + "/nn/functional/cross_entropy.py")
sys.modules[spec.name] = cross_entropy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cross_entropy)

x = torch.tensor([0.0, 0.0], dtype=torch.float32).reshape((1, 2))
target = torch.tensor([-100], dtype=torch.int64).reshape((1,))

exact, allowed = 0.0, 0.0
try:
    value = cross_entropy.cross_entropy(x, target, pad_idx=-100, reduction="sum", label_smoothing=0.1 * 1 / 2)
    observed = value.tolist()
    right = abs(observed - exact) <= allowed
except Exception as error:
    observed, right = repr(error), False
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("fairseq2", __import__("importlib.metadata").metadata.version("fairseq2"))
raise SystemExit(0 if right else 1)
