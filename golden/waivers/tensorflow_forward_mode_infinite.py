"""tensorflow: the forward-mode derivative of 2 a is NaN where a is infinite."""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

EXACT = 2.0  # d(2 a) / da, whatever a is

a = tf.constant(float("inf"))
with tf.autodiff.ForwardAccumulator(a, tf.constant(1.0)) as forward:
    y = a * 2.0
with tf.GradientTape() as backward:
    backward.watch(a)
    z = a * 2.0
observed = float(forward.jvp(y))
print("observed", observed, "in reverse mode", float(backward.gradient(z, a)), "exact", EXACT)
print("tensorflow", tf.__version__)
sys.exit(0 if observed == EXACT else 1)
