"""tensorflow: with one class and a label that is not 1, cross-entropy is 0 everywhere and its gradient is not."""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

labels = tf.constant([[0.5]])
x = tf.constant([[3.0]])
with tf.GradientTape() as tape:
    tape.watch(x)
    loss = tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=x)
gradient = float(tape.gradient(loss, x)[0, 0])
# log p = 0 for any logit: the loss is constant.
print(f"loss: observed {float(loss[0])}, exact 0")
print(f"gradient: observed {gradient}, exact 0")
print("tensorflow", tf.__version__)
sys.exit(0 if gradient == 0 else 1)
