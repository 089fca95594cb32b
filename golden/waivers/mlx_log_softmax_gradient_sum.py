# lossproof repro log_softmax/float16/near_overflow/n2-k4/8e1fa852 --target mlx --output vjp --simplify
"""log_softmax in float16, shape (1, 2), with mlx alone."""
# Observed with mlx 0.32.4, numpy 2.4.6, python 3.11.7: -inf
import numpy as np
import mlx.core as mx
import mlx.nn as nn

x = mx.array(np.array([0.0, 0.0], np.float16).reshape((1, 2)))
cotangent = mx.array(np.array([65504.0, 65504.0], np.float16).reshape((1, 2)))

def f(x):
    return nn.log_softmax(x, axis=-1)

(value,), (vjp,) = mx.vjp(f, [x], [cotangent])
observed = np.array(vjp).astype(float).tolist()[0][0]
exact, allowed = 0.0, 525.4093912913589
right = abs(observed - exact) <= allowed
print("vjp[0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("mlx", __import__("importlib.metadata").metadata.version("mlx"))
raise SystemExit(0 if right else 1)
