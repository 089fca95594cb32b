# lossproof repro log_softmax/float32/confident/n2-k4/d21a16e5 --target mindspore --simplify
"""log_softmax in float32, shape (1, 2), with mindspore alone."""
# Observed with mindspore 2.10.0, numpy 1.26.4, python 3.11.7: -0.693145751953125
import numpy as np
import mindspore as ms
from mindspore import ops

ms.runtime.launch_blocking()

x = ms.Tensor(np.array([0.0, 0.0], np.float32).reshape((1, 2)))

value = ops.log_softmax(x, axis=-1)
observed = value.numpy().astype(float).tolist()[0][0]
exact, allowed = [-0.6931471805599454, -0.6931471805599452], 7.890659477205167e-07
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("mindspore", __import__("importlib.metadata").metadata.version("mindspore"))
raise SystemExit(0 if right else 1)
