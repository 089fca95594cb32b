# lossproof repro nll_loss/float32/error/15-reduction-n2-k4-total/b304e3ee --target mindspore
"""nll_loss in float32, shape (2, 4), with mindspore alone."""
# Observed with mindspore 2.10.0, numpy 1.26.4, python 3.11.7: shape (2,), float32
import numpy as np
import mindspore as ms
from mindspore import ops

ms.runtime.launch_blocking()

x = ms.Tensor(np.array(list(map(float.fromhex, "-0x1p+0 -0x1p+1 -0x1p-1 -0x1.8p+1 -0x1p-2 -0x1p+2 -0x1p+0 -0x1p+1".split())), np.float32).reshape((2, 4)))
target = ms.Tensor(np.array([1, 2], np.int64).reshape((2,)))

try:
    value = ops.nll_loss(x, target, ignore_index=-100, reduction="total")
    observed = value.numpy().astype(float).tolist()
    right = observed != observed
except Exception as error:
    observed, right = repr(error), True
print("value: observed", observed, "expected an error, as the input is invalid")
print("mindspore", __import__("importlib.metadata").metadata.version("mindspore"))
raise SystemExit(0 if right else 1)
