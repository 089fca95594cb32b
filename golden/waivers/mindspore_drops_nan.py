# lossproof repro log_softmax/float32/nan_row/n2-k4/053ae39b --target mindspore --simplify
"""log_softmax in float32, shape (1, 2), with mindspore alone."""
# Observed with mindspore 2.10.0, numpy 1.26.4, python 3.11.7: -inf
import numpy as np
import mindspore as ms
from mindspore import ops

ms.runtime.launch_blocking()

x = ms.Tensor(np.array(list(map(float.fromhex, "0x0p+0 nan".split())), np.float32).reshape((1, 2)))

value = ops.log_softmax(x, axis=-1)
observed = value.numpy().astype(float).tolist()[0][0]
exact, allowed = float("nan"), 0.0
right = observed != observed
print("value[0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("mindspore", __import__("importlib.metadata").metadata.version("mindspore"))
raise SystemExit(0 if right else 1)
