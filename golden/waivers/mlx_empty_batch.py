# lossproof repro cross_entropy/float32/error/10-no-rows-sum-n0-k4-sum/b3470bca --target mlx
"""cross_entropy in float32, shape (0, 4), with mlx alone."""
# Observed with mlx 0.32.4, numpy 2.4.6, python 3.11.7: ValueError: [logsumexp] Received empty array.
import numpy as np
import mlx.core as mx
import mlx.nn as nn

x = mx.array(np.array([], np.float32).reshape((0, 4)))
target = mx.array(np.array([], np.int64).reshape((0,)))
cotangent = mx.array(np.array([1.0], np.float32).reshape(()))

def f(x):
    return nn.losses.cross_entropy(x, target, axis=-1, reduction="sum", label_smoothing=0.0)

try:
    (value,), (vjp,) = mx.vjp(f, [x], [cotangent])
    observed = np.array(value).astype(float).tolist()
    right = True
except Exception as error:
    observed, right = repr(error), False
print("value: observed", observed, "expected an answer")
print("mlx", __import__("importlib.metadata").metadata.version("mlx"))
raise SystemExit(0 if right else 1)
