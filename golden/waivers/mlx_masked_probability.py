# lossproof repro cross_entropy/float32/masked_target/s1x17x24-sum-q-ls0.1/3a73a3df --target mlx --output value --simplify
"""cross_entropy in float32, shape (1, 1, 7), with mlx alone."""
# Observed with mlx 0.32.4, numpy 2.4.6, python 3.11.7: nan
import numpy as np
import mlx.core as mx
import mlx.nn as nn

x = mx.array(np.array(list(map(float.fromhex, "-inf 0x0p+0 -inf -inf 0x0p+0 0x0p+0 0x0p+0".split())), np.float32).reshape((1, 1, 7)))
target = mx.array(np.array(list(map(float.fromhex, "0x1.ap-4 0x1.8p-6 0x1.2p-4 0x0p+0 0x1.bp-3 0x1.5p-3 0x1.b8p-2".split())), np.float32).reshape((1, 1, 7)))

value = nn.losses.cross_entropy(x, target, axis=-1, reduction="sum", label_smoothing=0.1)
observed = np.array(value).astype(float).tolist()
exact, allowed = float("inf"), 0.0
right = observed == exact
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("mlx", __import__("importlib.metadata").metadata.version("mlx"))
raise SystemExit(0 if right else 1)
