# lossproof repro cross_entropy/float32/ordinary/n3-k5-sum-ls0.1-ig-100/536f7c86 --target paddle --simplify
"""cross_entropy in float32, shape (1, 1), with paddle alone."""
# Observed with paddlepaddle 3.3.1, numpy 2.4.6, python 3.11.7: ValueError: (InvalidArgument) Illegal index value, Input(input) value should be at least 0, but r...
import numpy as np
import paddle
import paddle.nn.functional as F

def tensor(a):
    return paddle.to_tensor(a, stop_gradient=a.dtype.kind != "f")

x = tensor(np.array([0.0], np.float32).reshape((1, 1)))
target = tensor(np.array([-100], np.int64).reshape((1,)))

exact, allowed = 0.0, 0.0
try:
    value = F.cross_entropy(x, target, ignore_index=-100, reduction="sum", axis=-1, label_smoothing=0.1)
    observed = value.numpy().astype(float).tolist()
    right = abs(observed - exact) <= allowed
except Exception as error:
    observed, right = repr(error), False
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("paddlepaddle", __import__("importlib.metadata").metadata.version("paddlepaddle"))
raise SystemExit(0 if right else 1)
