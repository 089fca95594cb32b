# lossproof repro cross_entropy/float32/error/12-ignore-32-bit-n2-k4-none-ig4294967297/799b760e --target paddle
"""cross_entropy in float32, shape (2, 4), with paddle alone."""
# Observed with paddlepaddle 3.3.1, numpy 2.4.6, python 3.11.7: IndexError: (OutOfRange) Integer value 4294967297 exceeds int32 range [-2147483648, 2147483647] (...
import numpy as np
import paddle
import paddle.nn.functional as F

def tensor(a):
    return paddle.to_tensor(a, stop_gradient=a.dtype.kind != "f")

x = tensor(np.array(list(map(float.fromhex, "0x1p-1 -0x1p+0 0x1p+1 0x1p-2 0x1.8p+0 0x0p+0 -0x1.8p-1 0x1p+0".split())), np.float32).reshape((2, 4)))
target = tensor(np.array([1, 2], np.int64).reshape((2,)))
cotangent = tensor(np.array([1.0, 1.0], np.float32).reshape((2,)))

try:
    value = F.cross_entropy(x, target, ignore_index=4294967297, reduction="none", axis=-1)
    vjp, = paddle.grad(value, x, cotangent)
    observed = value.numpy().astype(float).tolist()
    right = True
except Exception as error:
    observed, right = repr(error), False
print("value: observed", observed, "expected an answer")
print("paddlepaddle", __import__("importlib.metadata").metadata.version("paddlepaddle"))
raise SystemExit(0 if right else 1)
