"""tensorflow: softmax of a row that holds +inf is one thing in float32 and bfloat16, another in float64 and float16."""

import math
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

# Either NaN or the limit [1, 0, 0, 0] may stand in each entry, but the choice is to be the same in every dtype.
shown = {}
for dtype in (tf.float64, tf.float32, tf.bfloat16, tf.float16):
    got = [float(p) for p in tf.nn.softmax(tf.constant([[math.inf, 0.0, 1.0, 2.0]], dtype))[0]]
    shown[dtype.name] = repr(got)
    print(f"{dtype.name}: observed {got}")
print("tensorflow", tf.__version__, "TF_ENABLE_ONEDNN_OPTS", os.environ.get("TF_ENABLE_ONEDNN_OPTS", "not set"))
sys.exit(0 if len(set(shown.values())) == 1 else 1)
