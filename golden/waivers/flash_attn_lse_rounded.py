# lossproof repro cross_entropy/float32/rows_apart/n2-k4-none/cc4d91bf --target flash_attn --simplify
"""cross_entropy in float32, shape (1, 2), with flash_attn alone."""
# Observed with flash_attn 2.8.3, torch 2.13.0+cpu, numpy 2.4.6, python 3.11.7: 0.693359375
import torch
import contextlib, os
os.environ["TRITON_INTERPRET"] = "1"
torch.cuda.device = contextlib.nullcontext
import importlib.util, sys
folder = importlib.util.find_spec("flash_attn").submodule_search_locations[0]
spec = importlib.util.spec_from_file_location("flash_attn_cross_entropy", folder + "/ops/triton/cross_entropy.py")
sys.modules[spec.name] = cross_entropy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cross_entropy)

x = torch.tensor([-10240.0, -10240.0], dtype=torch.float32).reshape((1, 2))
target = torch.tensor([1], dtype=torch.int64).reshape((1,))

value = cross_entropy.cross_entropy_loss(x, target, label_smoothing=0.0, ignore_index=-100)[0]
observed = value.tolist()[0]
exact, allowed = [0.6931471805599452, 0.6931471805599454], 8.303807899207237e-07
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0]: observed", observed, "exact", exact, "allowed error", allowed)
print("flash_attn", __import__("importlib.metadata").metadata.version("flash_attn"))
raise SystemExit(0 if right else 1)
