# lossproof repro nll_loss/float32/error/10-no-rows-gradient-label-none-s0x4x2-ax1-none/e9580aa9 --target mindspore
"""nll_loss in float32, shape (0, 4, 2), with mindspore alone."""
# Observed with mindspore 2.10.0, numpy 1.26.4, python 3.11.7: RuntimeError: For 'Tile', fast stride can not be equal to 0 -------------------------------------...
import numpy as np
import mindspore as ms
from mindspore import ops

ms.runtime.launch_blocking()

x = ms.Tensor(np.array([], np.float32).reshape((0, 4, 2)))
target = ms.Tensor(np.array([], np.int64).reshape((0, 2)))
cotangent = ms.Tensor(np.array([], np.float32).reshape((0, 2)))

def f(x):
    return ops.nll_loss(x, target, ignore_index=-100, reduction="none")

try:
    value = f(x)
    vjp, = ms.vjp(f, x)[1](cotangent)
    observed = value.numpy().astype(float).tolist()
    right = True
except Exception as error:
    observed, right = repr(error), False
print("value: observed", observed, "expected an answer")
print("mindspore", __import__("importlib.metadata").metadata.version("mindspore"))
raise SystemExit(0 if right else 1)
