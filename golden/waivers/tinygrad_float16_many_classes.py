# lossproof repro log_softmax/float16/equal/n1-k70000/62a74c75 --target tinygrad:cpu
"""log_softmax in float16, shape (1, 70000), with tinygrad alone."""
# Observed with tinygrad 0.14.0, numpy 2.4.6, python 3.11.7: -inf
import numpy as np
from tinygrad import Tensor

x = Tensor(np.array([-3.0] * 70000, np.float16).reshape((1, 70000)), device="CPU").realize()

value = x.log_softmax(axis=-1)
observed = value.numpy().astype(float).tolist()[0][0]
exact, allowed = [-11.156250521039281, -11.15625052102371], 0.016057334100049604
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("tinygrad", __import__("importlib.metadata").metadata.version("tinygrad"))
raise SystemExit(0 if right else 1)
