# lossproof repro cross_entropy/float64/ordinary/n3-k5-mean-ig-100/c337c4f0 --target paddle --simplify
"""cross_entropy in float64, shape (2, 5), with paddle alone."""
# Observed with paddlepaddle 3.3.1, numpy 2.4.6, python 3.11.7: 0.8047189562170501
import numpy as np
import paddle
import paddle.nn.functional as F

def tensor(a):
    return paddle.to_tensor(a, stop_gradient=a.dtype.kind != "f")

x = tensor(np.array([0.0] * 5 * 2, np.float64).reshape((2, 5)))
target = tensor(np.array([4, -100], np.int64).reshape((2,)))

value = F.cross_entropy(x, target, ignore_index=-100, reduction="mean", axis=-1)
observed = value.numpy().astype(float).tolist()
exact, allowed = [1.6094379124341, 1.6094379124341005], 3.790475565262084e-15
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("paddlepaddle", __import__("importlib.metadata").metadata.version("paddlepaddle"))
raise SystemExit(0 if right else 1)
