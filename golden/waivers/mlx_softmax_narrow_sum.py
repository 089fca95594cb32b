# lossproof repro softmax/bfloat16/stagnation/s1x17x24/a05afc9b --target mlx --output value --simplify
"""softmax in bfloat16, shape (1, 1, 6), with mlx alone."""
# Observed with mlx 0.32.4, numpy 2.4.6, python 3.11.7: 0.9609375
import numpy as np
import mlx.core as mx

x = mx.array(np.array(list(map(float.fromhex, "0x0p+0".split() + ["-0x1.6p+2"] * 5)), np.float32).reshape((1, 1, 6))).astype(mx.bfloat16)

value = mx.softmax(x, axis=-1)
observed = np.array(value.astype(mx.float32)).astype(float).tolist()[0][0][0]
exact, allowed = [0.9799753241738339, 0.9799753241738342], 0.015898436713405555
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0, 0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("mlx", __import__("importlib.metadata").metadata.version("mlx"))
raise SystemExit(0 if right else 1)
