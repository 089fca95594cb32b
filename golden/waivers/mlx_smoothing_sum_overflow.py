# lossproof repro cross_entropy/float32/scaled_overflow/n3-k5-none-ls0.3/4f2bb6b2 --target mlx --output value --simplify
"""cross_entropy in float32, shape (1, 3), with mlx alone."""
# Observed with mlx 0.32.4, numpy 2.4.6, python 3.11.7: inf
import numpy as np
import mlx.core as mx
import mlx.nn as nn

x = mx.array(np.array(list(map(float.fromhex, "0x0p+0 0x0p+0 0x1p+127".split())), np.float32).reshape((1, 3)))
target = mx.array(np.array([0], np.int64).reshape((1,)))

value = nn.losses.cross_entropy(x, target, axis=-1, reduction="none", label_smoothing=0.3)
observed = np.array(value).astype(float).tolist()[0]
exact, allowed = [1.531270651144223e+38, 1.5312706511442233e+38], 1.0039796480331582e+32
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0]: observed", observed, "exact", exact, "allowed error", allowed)
print("mlx", __import__("importlib.metadata").metadata.version("mlx"))
raise SystemExit(0 if right else 1)
