# lossproof repro cross_entropy/float32/error/10-no-classes-n2-k0-none/8c00e1ac --target paddle
"""cross_entropy in float32, shape (2, 0), with paddle alone."""
# Observed with paddlepaddle 3.3.1, numpy 2.4.6, python 3.11.7: 2.8936325795739075e+18
import numpy as np
import paddle
import paddle.nn.functional as F

def tensor(a):
    return paddle.to_tensor(a, stop_gradient=a.dtype.kind != "f")

x = tensor(np.array([], np.float32).reshape((2, 0)))
target = tensor(np.array([0, 0], np.int64).reshape((2,)))

try:
    value = F.cross_entropy(x, target, ignore_index=-100, reduction="none", axis=-1)
    observed = value.numpy().astype(float).tolist()[0]
    right = observed != observed
except Exception as error:
    observed, right = repr(error), True
print("value: observed", observed, "expected an error, as the input is invalid")
print("paddlepaddle", __import__("importlib.metadata").metadata.version("paddlepaddle"))
raise SystemExit(0 if right else 1)
