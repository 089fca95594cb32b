"""tensorflow: float16 softmax adds up the row's exponentials in float16."""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

EXACT = 0.748992325232421  # 1/(1 + 999 exp(-8)), +/- 4e-16

got = float(tf.nn.softmax(tf.constant([[0.0] + [-8.0] * 999], tf.float16))[0, 0])
print(f"softmax([0, -8 x 999])[0]: observed {got}, exact {EXACT}")
print("tensorflow", tf.__version__)
# A wide sum leaves one rounding, 2.5e-4 here; twice that allows for one of the sum besides.
sys.exit(0 if abs(got - EXACT) < 1e-3 else 1)
