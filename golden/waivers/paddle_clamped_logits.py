# lossproof repro log_softmax/float64/half_cliff/n2-k4/130feb4c --target paddle --simplify
"""log_softmax in float64, shape (1, 2), with paddle alone."""
# Observed with paddlepaddle 3.3.1, numpy 2.4.6, python 3.11.7: -64.0
import numpy as np
import paddle
import paddle.nn.functional as F

def tensor(a):
    return paddle.to_tensor(a, stop_gradient=a.dtype.kind != "f")

x = tensor(np.array([-80.0, 0.0], np.float64).reshape((1, 2)))

value = F.log_softmax(x, axis=-1)
observed = value.numpy().astype(float).tolist()[0][0]
exact, allowed = [-80.00000000000001, -79.99999999999999], 1.8540724511256977e-14
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("paddlepaddle", __import__("importlib.metadata").metadata.version("paddlepaddle"))
raise SystemExit(0 if right else 1)
