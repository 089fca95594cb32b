# lossproof repro nll_loss/float16/single/s2x2x1x1x2x2-ax2-mean/0f7dbe08 --target mlx --output value --simplify
"""nll_loss in float16, shape (2, 2, 1, 1, 2, 2), with mlx alone."""
# Observed with mlx 0.32.4, numpy 2.4.6, python 3.11.7: inf
import numpy as np
import mlx.core as mx
import mlx.nn as nn

x = mx.array(np.array([-7168.0, -7168.0] * 8, np.float16).reshape((2, 2, 1, 1, 2, 2)))
target = mx.array(np.array([0, 0] * 8, np.int64).reshape((2, 2, 1, 2, 2)))

value = nn.losses.nll_loss(x, target, axis=2, reduction="mean")
observed = np.array(value).astype(float).tolist()
exact, allowed = 7168.0, 24.526938676516906
right = abs(observed - exact) <= allowed
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("mlx", __import__("importlib.metadata").metadata.version("mlx"))
raise SystemExit(0 if right else 1)
