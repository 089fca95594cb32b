"""tensorflow: log_softmax in bfloat16 and float16 adds up the row's exponentials in the 16-bit format."""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

# log p_0 of [0, -d, ..., -d] is -log(1 + (K - 1) exp(-d)). The third number allows for a wide sum that is rounded once.
CASES = (
    (tf.bfloat16, 4, 5.5625, -0.0114516779427231, 0.0045),  # +/- 4e-17
    (tf.float16, 1000, 7.6328125, -0.394614829050198, 0.0015),  # +/- 3e-16
)

ok = True
for dtype, k, d, exact, allowed in CASES:
    got = float(tf.nn.log_softmax(tf.constant([[0.0] + [-d] * (k - 1)], dtype))[0, 0])
    ok = ok and abs(got - exact) <= allowed
    print(f"{dtype.name}, K = {k}: observed {got}, exact {exact}")
print("tensorflow", tf.__version__)
sys.exit(0 if ok else 1)
