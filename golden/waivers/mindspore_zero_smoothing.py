# lossproof repro cross_entropy/float32/masked/n2-k4-mean/84cbebbe --target mindspore --simplify
"""cross_entropy in float32, shape (1, 2), with mindspore alone."""
# Observed with mindspore 2.10.0, numpy 1.26.4, python 3.11.7: nan
import numpy as np
import mindspore as ms
from mindspore import ops

ms.runtime.launch_blocking()

x = ms.Tensor(np.array(list(map(float.fromhex, "0x0p+0 -inf".split())), np.float32).reshape((1, 2)))
target = ms.Tensor(np.array([0], np.int64).reshape((1,)))

value = ops.cross_entropy(x, target, ignore_index=-100, reduction="mean", label_smoothing=0.0)
observed = value.numpy().astype(float).tolist()
exact, allowed = 0.0, 4.1723292909577277e-07
right = abs(observed - exact) <= allowed
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("mindspore", __import__("importlib.metadata").metadata.version("mindspore"))
raise SystemExit(0 if right else 1)
