"""tensorflow: with 70000 equal logits, float16 softmax is 0, log_softmax -inf, and its gradient NaN."""

import math
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

K = 70000
P, LOG_P = 1 / K, -math.log(K)  # [1.42857142857143e-5 +/- 2e-20], [-11.1562505210315 +/- 4e-15]

x = tf.zeros((1, K), tf.float16)
with tf.GradientTape() as tape:
    tape.watch(x)
    log_p = tf.nn.log_softmax(x)
p, first = float(tf.nn.softmax(x)[0, 0]), float(log_p[0, 0])
# v_i - p_i sum v = 1 - K/K = 0 for a cotangent of ones.
vjp = float(tape.gradient(log_p, x, tf.ones((1, K), tf.float16))[0, 0])
print(f"softmax: observed {p}, exact {P}")
print(f"log_softmax: observed {first}, exact {LOG_P}")
print(f"gradient of log_softmax, cotangent of ones: observed {vjp}, exact 0")
print("tensorflow", tf.__version__)
sys.exit(0 if abs(p - P) < 1e-7 and abs(first - LOG_P) < 0.02 and abs(vjp) < 0.01 else 1)
