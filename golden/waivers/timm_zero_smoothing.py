# lossproof repro cross_entropy/float64/masked/n2-k4-mean/3ccf7245 --target timm --simplify
"""cross_entropy in float64, shape (1, 2), with timm alone."""
# Observed with timm 1.0.31, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: nan
import torch
import importlib.util, sys
folder = importlib.util.find_spec("timm").submodule_search_locations[0]
spec = importlib.util.spec_from_file_location("timm_loss", folder + "/loss/__init__.py")
sys.modules[spec.name] = loss = importlib.util.module_from_spec(spec)
spec.loader.exec_module(loss)

x = torch.tensor(list(map(float.fromhex, "0x0p+0 -inf".split())), dtype=torch.float64).reshape((1, 2))
target = torch.tensor([0], dtype=torch.int64).reshape((1,))

value = loss.LabelSmoothingCrossEntropy(0.0)(x, target)
observed = value.tolist()
exact, allowed = 0.0, 7.771561172383178e-16
right = abs(observed - exact) <= allowed
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("timm", __import__("importlib.metadata").metadata.version("timm"))
raise SystemExit(0 if right else 1)
