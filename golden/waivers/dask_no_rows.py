# lossproof repro softmax/float32/error/10-no-rows-n0-k4/f3641396 --target dask --simplify
"""softmax in float32, shape (0, 4), with dask alone."""
# Observed with dask 2026.8.0, numpy 2.4.6, python 3.11.7: ValueError: zero-size array to reduction operation maximum which has no identity
import numpy as np
import dask.array as xp

def in_blocks(a):
    return xp.from_array(a, chunks=tuple((n + 1) // 2 or 1 for n in a.shape))

x = in_blocks(np.array([], np.float32).reshape((0, 4)))
cotangent = in_blocks(np.array([], np.float32).reshape((0, 4)))

try:
    value = xp.exp(x - xp.max(x, axis=-1, keepdims=True)) / xp.sum(xp.exp(x - xp.max(x, axis=-1, keepdims=True)), axis=-1, keepdims=True)
    observed = np.asarray(value).astype(float).tolist()
    right = True
except Exception as error:
    observed, right = repr(error), False
print("value: observed", observed, "expected an answer")
print("dask", __import__("importlib.metadata").metadata.version("dask"))
raise SystemExit(0 if right else 1)
