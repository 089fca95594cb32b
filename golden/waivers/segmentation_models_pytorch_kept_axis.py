# lossproof repro cross_entropy/float64/ordinary/n3-k5-none-ig-100/73d39375 --target segmentation_models_pytorch --simplify
"""cross_entropy in float64, shape (1, 5), with segmentation_models_pytorch alone."""
# Observed with segmentation_models_pytorch 0.6.0, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: shape (1, 1), float64
import torch
import importlib.util, sys
folder = importlib.util.find_spec("segmentation_models_pytorch").submodule_search_locations[0]
spec = importlib.util.spec_from_file_location("segmentation_models_pytorch_losses", folder + "/losses/__init__.py")
sys.modules[spec.name] = losses = importlib.util.module_from_spec(spec)
spec.loader.exec_module(losses)

x = torch.tensor([0.0] * 5, dtype=torch.float64).reshape((1, 5))
target = torch.tensor([4], dtype=torch.int64).reshape((1,))

value = losses.SoftCrossEntropyLoss(reduction="none", smooth_factor=0.0, ignore_index=-100, dim=-1)(x, target)
observed = tuple(value.shape)
right = observed == (1,)
print("shape of value: observed", observed, "expected", (1,))
print("segmentation_models_pytorch", __import__("importlib.metadata").metadata.version("segmentation_models_pytorch"))
raise SystemExit(0 if right else 1)
