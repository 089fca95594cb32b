"""jax: from 65520 equal logits on, float16 softmax is 0 and log_softmax is -inf."""

import math
import sys

import jax
import jax.numpy as jnp

K = 70000
P, LOG_P = 1 / K, -math.log(K)  # [1.42857142857143e-5 +/- 2e-20], [-11.1562505210315 +/- 4e-15]

x = jnp.zeros(K, jnp.float16)
log_softmax, pull_back = jax.vjp(jax.nn.log_softmax, x)
p, log_p = float(jax.nn.softmax(x)[0]), float(log_softmax[0])
# v_i - p_i sum v = 1 - K/K = 0 for a cotangent of ones.
vjp = float(pull_back(jnp.ones(K, jnp.float16))[0][0])
print(f"softmax: observed {p}, exact {P}")
print(f"log_softmax: observed {log_p}, exact {LOG_P}")
print(f"gradient of log_softmax, cotangent of ones: observed {vjp}, exact 0")
print("jax", jax.__version__)
sys.exit(0 if abs(p - P) < 1e-7 and abs(log_p - LOG_P) < 0.02 and abs(vjp) < 0.01 else 1)
