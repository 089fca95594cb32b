# lossproof repro cross_entropy/float32/error/13-minus-one-n2-k4-none/f0f47bb5 --target flash_attn
"""cross_entropy in float32, shape (2, 4), with flash_attn alone."""
# Observed with flash_attn 2.8.3, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: 0.0
import torch
import contextlib, os
os.environ["TRITON_INTERPRET"] = "1"
torch.cuda.device = contextlib.nullcontext
import importlib.util, sys
folder = importlib.util.find_spec("flash_attn").submodule_search_locations[0]
spec = importlib.util.spec_from_file_location("flash_attn_cross_entropy", folder + "/ops/triton/cross_entropy.py")
sys.modules[spec.name] = cross_entropy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cross_entropy)

x = torch.tensor(list(map(float.fromhex, "0x1p-1 -0x1p+0 0x1p+1 0x1p-2 0x1.8p+0 0x0p+0 -0x1.8p-1 0x1p+0".split())), dtype=torch.float32).reshape((2, 4))
target = torch.tensor([-1, 2], dtype=torch.int64).reshape((2,))

try:
    x.requires_grad_()
    value = cross_entropy.cross_entropy_loss(x, target, label_smoothing=0.0, ignore_index=-100)[0]
    observed = value.tolist()[0]
    right = observed != observed
except Exception as error:
    observed, right = repr(error), True
print("value: observed", observed, "expected an error, as the input is invalid")
print("flash_attn", __import__("importlib.metadata").metadata.version("flash_attn"))
raise SystemExit(0 if right else 1)
