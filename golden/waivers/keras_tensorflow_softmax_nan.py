"""keras on tensorflow: softmax of a row with a NaN, or with +inf, is one thing in float32 and another in float64."""

import math
import os
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

ok = True
for special in (math.nan, math.inf):
    for dtype in ("float64", "float32"):
        got = keras.ops.softmax(keras.ops.convert_to_tensor([[special, 0.0, 1.0, 2.0]], dtype=dtype))
        shown = [float(p) for p in keras.ops.convert_to_numpy(got)[0]]
        ok = ok and all(math.isnan(p) for p in shown)
        print(f"{dtype}, [{special}, 0, 1, 2]: observed {shown}, exact NaN (or the limit, if in both dtypes)")
print("keras", keras.__version__, "on", keras.backend.backend())
sys.exit(0 if ok else 1)
