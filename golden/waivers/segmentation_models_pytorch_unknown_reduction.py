# lossproof repro cross_entropy/float32/error/15-reduction-n2-k4-total/c389781f --target segmentation_models_pytorch
"""cross_entropy in float32, shape (2, 4), with segmentation_models_pytorch alone."""
# Observed with segmentation_models_pytorch 0.6.0, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: shape (2,), float32
import torch
import importlib.util, sys
folder = importlib.util.find_spec("segmentation_models_pytorch").submodule_search_locations[0]
spec = importlib.util.spec_from_file_location("segmentation_models_pytorch_losses", folder + "/losses/__init__.py")
sys.modules[spec.name] = losses = importlib.util.module_from_spec(spec)
spec.loader.exec_module(losses)

x = torch.tensor(list(map(float.fromhex, "0x1p-1 -0x1p+0 0x1p+1 0x1p-2 0x1.8p+0 0x0p+0 -0x1.8p-1 0x1p+0".split())), dtype=torch.float32).reshape((2, 4))
target = torch.tensor([1, 2], dtype=torch.int64).reshape((2,))

try:
    value = losses.SoftCrossEntropyLoss(reduction="total", smooth_factor=0.0, ignore_index=None, dim=-1)(x, target)
    observed = value.tolist()
    right = observed != observed
except Exception as error:
    observed, right = repr(error), True
print("value: observed", observed, "expected an error, as the input is invalid")
print("segmentation_models_pytorch", __import__("importlib.metadata").metadata.version("segmentation_models_pytorch"))
raise SystemExit(0 if right else 1)
