"""tensorflow: compiled by XLA, the loss of a row with a NaN logit is 0 where all its labels are 0."""

import math
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

loss = tf.nn.softmax_cross_entropy_with_logits
labels, logits = tf.constant([[0.0, 0.0, 0.0]]), tf.constant([[math.nan, 0.0, 1.0]])
ok = True
for name, f in (("eager", loss), ("xla", tf.function(loss, jit_compile=True))):
    got = float(f(labels=labels, logits=logits)[0])
    ok = ok and math.isnan(got)
    print(f"{name}: observed {got}, exact NaN")
print("tensorflow", tf.__version__)
sys.exit(0 if ok else 1)
