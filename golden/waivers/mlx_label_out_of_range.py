# lossproof repro nll_loss/float32/error/13-k-n2-k4-none/49684a85 --target mlx
"""nll_loss in float32, shape (2, 4), with mlx alone."""
# Observed with mlx 0.32.4, numpy 2.4.6, python 3.11.7: 0.25
import numpy as np
import mlx.core as mx
import mlx.nn as nn
x = mx.array(np.array(list(map(float.fromhex, "-0x1p+0 -0x1p+1 -0x1p-1 -0x1.8p+1 -0x1p-2 -0x1p+2 -0x1p+0 -0x1p+1".split())), np.float32).reshape((2, 4)))
target = mx.array(np.array([4, 2], np.int64).reshape((2,)))
cotangent = mx.array(np.array([1.0, 1.0], np.float32).reshape((2,)))
def f(x):
    return nn.losses.nll_loss(x, target, axis=-1, reduction="none")
try:
    (value,), (vjp,) = mx.vjp(f, [x], [cotangent])
    observed = np.array(value).astype(float).tolist()[0]
    right = observed != observed
except Exception as error:
    observed, right = repr(error), True
print("value: observed", observed, "expected an error, as the input is invalid")
print("mlx", __import__("importlib.metadata").metadata.version("mlx"))
raise SystemExit(0 if right else 1)
