"""tensorflow: tf.nn.softmax of a row that holds a NaN is NaN in that entry only, and 0 in the others."""

import math
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

# exp(NaN - m) is part of the row sum, so every entry is NaN. With TF_ENABLE_ONEDNN_OPTS=0 that is what comes out.
ok = True
for dtype in (tf.float64, tf.float32, tf.bfloat16, tf.float16):
    got = [float(p) for p in tf.nn.softmax(tf.constant([[math.nan, 0.0, 1.0, 2.0]], dtype))[0]]
    ok = ok and all(map(math.isnan, got))
    print(f"{dtype.name}: observed {got}, exact [nan, nan, nan, nan]")
print("tensorflow", tf.__version__, "TF_ENABLE_ONEDNN_OPTS", os.environ.get("TF_ENABLE_ONEDNN_OPTS", "not set"))
sys.exit(0 if ok else 1)
