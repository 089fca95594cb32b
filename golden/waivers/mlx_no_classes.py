# lossproof repro nll_loss/float32/error/10-no-classes-n2-k0-none/19aab21f --target mlx
"""nll_loss in float32, shape (2, 0), with mlx alone."""
# Observed with mlx 0.32.4, numpy 2.4.6, python 3.11.7: -0.0
import numpy as np
import mlx.core as mx
import mlx.nn as nn

x = mx.array(np.array([], np.float32).reshape((2, 0)))
target = mx.array(np.array([0, 0], np.int64).reshape((2,)))

try:
    value = nn.losses.nll_loss(x, target, axis=-1, reduction="none")
    observed = np.array(value).astype(float).tolist()[0]
    right = observed != observed
except Exception as error:
    observed, right = repr(error), True
print("value: observed", observed, "expected an error, as the input is invalid")
print("mlx", __import__("importlib.metadata").metadata.version("mlx"))
raise SystemExit(0 if right else 1)
