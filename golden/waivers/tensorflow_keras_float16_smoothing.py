"""keras: with float16 and 65520 classes or more, categorical_crossentropy loses the mass of label smoothing."""

import math
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

K = 70000
# Equal logits: every log p_j is -log K and q' sums to 1, so the loss is log K for any smoothing.
EXACT = math.log(K)  # [11.1562505210315 +/- 4e-15]

x, q = tf.zeros((1, K), tf.float16), tf.one_hot([0], K, dtype=tf.float16)
got = float(tf.keras.losses.categorical_crossentropy(q, x, from_logits=True, label_smoothing=0.5)[0])
print(f"observed {got}, exact {EXACT}")
print("tensorflow", tf.__version__, "keras", tf.keras.__version__)
sys.exit(0 if abs(got - EXACT) < 0.02 else 1)
