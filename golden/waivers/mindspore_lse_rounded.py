# lossproof repro cross_entropy/float32/offset/n3-k5-none/f4b934b3 --target mindspore --simplify
"""cross_entropy in float32, shape (1, 2), with mindspore alone."""
# Observed with mindspore 2.10.0, numpy 1.26.4, python 3.11.7: 0.693115234375
import numpy as np
import mindspore as ms
from mindspore import ops

ms.runtime.launch_blocking()

x = ms.Tensor(np.array([1024.0, 1024.0], np.float32).reshape((1, 2)))
target = ms.Tensor(np.array([1], np.int64).reshape((1,)))

value = ops.cross_entropy(x, target, ignore_index=-100, reduction="none", label_smoothing=0.0)
observed = value.numpy().astype(float).tolist()[0]
exact, allowed = [0.6931471805599452, 0.6931471805599454], 8.303807899207237e-07
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0]: observed", observed, "exact", exact, "allowed error", allowed)
print("mindspore", __import__("importlib.metadata").metadata.version("mindspore"))
raise SystemExit(0 if right else 1)
