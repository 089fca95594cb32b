# lossproof repro cross_entropy/float32/ascending/s1x17x24-ax1-none-ls0.000977/bf21a35e --target paddle --simplify
"""cross_entropy in float32, shape (1, 2, 1), with paddle alone."""
# Observed with paddlepaddle 3.3.1, numpy 2.4.6, python 3.11.7: ValueError: (InvalidArgument) If Attr(soft_label) == true, the axis dimension of Input(X) and Inp...
import numpy as np
import paddle
import paddle.nn.functional as F

def tensor(a):
    return paddle.to_tensor(a, stop_gradient=a.dtype.kind != "f")

x = tensor(np.array([0.0, 0.0], np.float32).reshape((1, 2, 1)))
target = tensor(np.array([0], np.int64).reshape((1, 1)))

exact, allowed = [0.6931471805599452, 0.6931471805599454], 1.1195847542737683e-06
try:
    value = F.cross_entropy(x, target, ignore_index=-100, reduction="none", axis=1, label_smoothing=0.0009765625).squeeze(1)
    observed = value.numpy().astype(float).tolist()[0][0]
    right = exact[0] - allowed <= observed <= exact[1] + allowed
except Exception as error:
    observed, right = repr(error), False
print("value[0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("paddlepaddle", __import__("importlib.metadata").metadata.version("paddlepaddle"))
raise SystemExit(0 if right else 1)
