# lossproof repro nll_loss/float32/error/10-no-rows-mean-n0-k4-mean/4fb6af77 --target paddle
"""nll_loss in float32, shape (0, 4), with paddle alone."""
# Observed with paddlepaddle 3.3.1, numpy 2.4.6, python 3.11.7: 0.0
import numpy as np
import paddle
import paddle.nn.functional as F

def tensor(a):
    return paddle.to_tensor(a, stop_gradient=a.dtype.kind != "f")

x = tensor(np.array([], np.float32).reshape((0, 4)))
target = tensor(np.array([], np.int64).reshape((0,)))

try:
    value = F.nll_loss(x, target, ignore_index=-100, reduction="mean")
    observed = value.numpy().astype(float).tolist()
    right = observed != observed
except Exception as error:
    observed, right = repr(error), True
print("value: observed", observed, "expected an error, as the input is invalid")
print("paddlepaddle", __import__("importlib.metadata").metadata.version("paddlepaddle"))
raise SystemExit(0 if right else 1)
