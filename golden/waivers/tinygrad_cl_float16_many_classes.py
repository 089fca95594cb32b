# lossproof repro log_softmax/float16/equal/n1-k70000/62a74c75 --target tinygrad:cl
"""log_softmax in float16, shape (1, 70000), with tinygrad alone."""
# Observed with tinygrad 0.14.0, numpy 2.4.6, python 3.11.7: RuntimeError: UOp verification failed at 15 on Ops.AFTER dtypes.float 3 [(Ops.CAST, dtypes.float,...
import numpy as np
from tinygrad import Tensor

x = Tensor(np.array([-3.0] * 70000, np.float16).reshape((1, 70000)), device="CL").realize()

exact, allowed = [-11.156250521039281, -11.15625052102371], 0.016057334100049604
try:
    value = x.log_softmax(axis=-1)
    observed = value.numpy().astype(float).tolist()[0][0]
    right = exact[0] - allowed <= observed <= exact[1] + allowed
except Exception as error:
    observed, right = repr(error), False
print("value[0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("tinygrad", __import__("importlib.metadata").metadata.version("tinygrad"))
raise SystemExit(0 if right else 1)
