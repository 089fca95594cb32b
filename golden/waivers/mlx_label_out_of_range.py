# lossproof repro nll_loss/float32/error/13-k-n2-k4-none/49684a85 --target mlx
"""nll_loss in float32, shape (2, 4), with mlx alone."""
# Observed with mlx 0.32.4, numpy 2.4.6, python 3.11.7: 0.25
import numpy as np
import mlx.core as mx
import mlx.nn as nn
def tensor(a):
    return mx.array(a.astype(np.float32)).astype(mx.bfloat16) if a.dtype.name == "bfloat16" else mx.array(a)
def numpy(t):
    if t.dtype != mx.bfloat16:
        return np.array(t)
    import ml_dtypes
    return np.array(t.astype(mx.float32)).astype(ml_dtypes.bfloat16)
x = tensor(np.array(list(map(float.fromhex, "-0x1p+0 -0x1p+1 -0x1p-1 -0x1.8p+1 -0x1p-2 -0x1p+2 -0x1p+0 -0x1p+1".split())), np.float32).reshape((2, 4)))
target = tensor(np.array([4, 2], np.int64).reshape((2,)))
cotangent = tensor(np.array([1.0, 1.0], np.float32).reshape((2,)))
def f(x):
    return nn.losses.nll_loss(x, target, axis=-1, reduction="none")
try:
    (value,), (vjp,) = mx.vjp(f, [x], [cotangent])
    observed = numpy(value).astype(float).tolist()[0]
    right = observed != observed
except Exception as error:
    observed, right = repr(error), True
print("value: observed", observed, "expected an error, as the input is invalid")
print("mlx", __import__("importlib.metadata").metadata.version("mlx"))
raise SystemExit(0 if right else 1)
