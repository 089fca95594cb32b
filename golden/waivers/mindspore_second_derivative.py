# written by hand: no second derivatives are on offer
"""log_softmax in float32, shape (1, 2), with mindspore alone: the derivative of its gradient."""
# Observed with mindspore 2.10.0, numpy 1.26.4, python 3.11.7: 0.0
import mindspore as ms
import numpy as np
from mindspore import ops

x = ms.Tensor(np.array([[0.0, 0.0]], np.float32))
one = ms.Tensor(np.array([[1.0, 0.0]], np.float32))


def f(x):
    return ops.log_softmax(x, axis=-1)


def gradient(x):
    return ms.vjp(f, x)[1](one)[0]


observed = ms.jvp(gradient, x, one)[1].numpy().astype(float).tolist()[0][0]
print("hvp[0, 0]: observed", observed, "exact", -0.25)
print("mindspore", ms.__version__)
raise SystemExit(0 if abs(observed + 0.25) <= 1e-6 else 1)
