# lossproof repro cross_entropy/float64/ordinary/s2-mean-defaults/64d870e2 --target segmentation_models_pytorch --simplify
"""cross_entropy in float64, shape (1,), with segmentation_models_pytorch alone."""
# Observed with segmentation_models_pytorch 0.6.0, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: TypeError: unsupported operand type(s) for /: 'NoneType' and 'int'
import torch
import importlib.util, sys
folder = importlib.util.find_spec("segmentation_models_pytorch").submodule_search_locations[0]
spec = importlib.util.spec_from_file_location("segmentation_models_pytorch_losses", folder + "/losses/__init__.py")
sys.modules[spec.name] = losses = importlib.util.module_from_spec(spec)
spec.loader.exec_module(losses)

x = torch.tensor([0.0], dtype=torch.float64).reshape((1,))
target = torch.tensor([0], dtype=torch.int64).reshape(())

exact, allowed = 0.0, 0.0
try:
    value = losses.SoftCrossEntropyLoss(dim=-1)(x, target)
    observed = value.tolist()
    right = abs(observed - exact) <= allowed
except Exception as error:
    observed, right = repr(error), False
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("segmentation_models_pytorch", __import__("importlib.metadata").metadata.version("segmentation_models_pytorch"))
raise SystemExit(0 if right else 1)
