# lossproof repro cross_entropy/float64/scaled_overflow/n2-k4-mean-ls0.1/576f3f27 --target segmentation_models_pytorch --simplify
"""cross_entropy in float64, shape (1, 3), with segmentation_models_pytorch alone."""
# Observed with segmentation_models_pytorch 0.6.0, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: nan
import torch
import importlib.util, sys
folder = importlib.util.find_spec("segmentation_models_pytorch").submodule_search_locations[0]
spec = importlib.util.spec_from_file_location("segmentation_models_pytorch_losses", folder + "/losses/__init__.py")
sys.modules[spec.name] = losses = importlib.util.module_from_spec(spec)
spec.loader.exec_module(losses)

x = torch.tensor(list(map(float.fromhex, "0x0p+0 0x1p+1023 0x0p+0".split())), dtype=torch.float64).reshape((1, 3))
target = torch.tensor([0], dtype=torch.int64).reshape((1,))

value = losses.SoftCrossEntropyLoss(reduction="mean", smooth_factor=0.0, ignore_index=None, dim=-1)(x, target)
observed = value.tolist()
exact, allowed = [8.988465674311579e+307, 8.988465674311582e+307], 6.985441083377874e+292
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("segmentation_models_pytorch", __import__("importlib.metadata").metadata.version("segmentation_models_pytorch"))
raise SystemExit(0 if right else 1)
