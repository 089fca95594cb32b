# lossproof repro cross_entropy/float32/error/10-no-rows-value-label-none-s0x4x2-ax1-none/1bd05d6d --target fairseq2 --simplify
"""cross_entropy in float32, shape (0, 4, 2), with fairseq2 alone."""
# Observed with fairseq2 0.8.1, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: RuntimeError: unflatten got an unexpected error: cannot reshape tensor of 0 elements into shape [...
import torch
import importlib.util, sys
folder = importlib.util.find_spec("fairseq2").submodule_search_locations[0]
spec = importlib.util.spec_from_file_location("fairseq2_cross_entropy", folder + "/nn/functional/cross_entropy.py")
sys.modules[spec.name] = cross_entropy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cross_entropy)

x = torch.tensor([], dtype=torch.float32).reshape((0, 4, 2))
target = torch.tensor([], dtype=torch.int64).reshape((0, 2))

try:
    value = cross_entropy.cross_entropy(x.movedim(1, 2), target, pad_idx=-100, reduction="none")
    observed = value.tolist()
    right = True
except Exception as error:
    observed, right = repr(error), False
print("value: observed", observed, "expected an answer")
print("fairseq2", __import__("importlib.metadata").metadata.version("fairseq2"))
raise SystemExit(0 if right else 1)
