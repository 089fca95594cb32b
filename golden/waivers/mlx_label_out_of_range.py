# lossproof repro nll_loss/float32/error/13-k-image-value-s1x4x1x2-ax1-mean/625bd559 --target mlx
"""nll_loss in float32, shape (1, 4, 1, 2), with mlx alone."""
# Observed with mlx 0.32.4, numpy 2.4.6, python 3.11.7: 0.5
import numpy as np
import mlx.core as mx
import mlx.nn as nn

x = mx.array(np.array(list(map(float.fromhex, "-0x1p+0 -0x1p-2 -0x1p+1 -0x1p+2 -0x1p-1 -0x1p+0 -0x1.8p+1 -0x1p+1".split())), np.float32).reshape((1, 4, 1, 2)))
target = mx.array(np.array([4, 2], np.int64).reshape((1, 1, 2)))

try:
    value = nn.losses.nll_loss(x, target, axis=1, reduction="mean")
    observed = np.array(value).astype(float).tolist()
    right = observed != observed
except Exception as error:
    observed, right = repr(error), True
print("value: observed", observed, "expected an error, as the input is invalid")
print("mlx", __import__("importlib.metadata").metadata.version("mlx"))
raise SystemExit(0 if right else 1)
