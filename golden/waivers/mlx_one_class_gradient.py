# lossproof repro cross_entropy/float32/single/s2x1x3x1x2x1x4x1-ax3-none-ls0.1/353d1677 --target mlx --output vjp --simplify
"""cross_entropy in float32, shape (1, 1, 1, 1, 1, 1, 1, 1), with mlx alone."""
# Observed with mlx 0.32.4, numpy 2.4.6, python 3.11.7: -2.9802322387695312e-08
import numpy as np
import mlx.core as mx
import mlx.nn as nn

x = mx.array(np.array([0.0], np.float32).reshape((1, 1, 1, 1, 1, 1, 1, 1)))
target = mx.array(np.array([0], np.int64).reshape((1, 1, 1, 1, 1, 1, 1)))
cotangent = mx.array(np.array(list(map(float.fromhex, "-0x1.8p-2".split())), np.float32).reshape((1, 1, 1, 1, 1, 1, 1)))

def f(x):
    return nn.losses.cross_entropy(x, target, axis=3, reduction="none", label_smoothing=0.1)

(value,), (vjp,) = mx.vjp(f, [x], [cotangent])
observed = np.array(vjp).astype(float).tolist()[0][0][0][0][0][0][0][0]
exact, allowed = 0.0, 0.0
right = abs(observed - exact) <= allowed
print("vjp[0, 0, 0, 0, 0, 0, 0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("mlx", __import__("importlib.metadata").metadata.version("mlx"))
raise SystemExit(0 if right else 1)
