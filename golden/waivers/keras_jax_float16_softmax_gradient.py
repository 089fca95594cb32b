"""keras on jax: the gradient of a float16 softmax loses a term once the sum of exponentials reaches 256."""

import os
import sys

os.environ["KERAS_BACKEND"] = "jax"

import keras
from jax import vjp

ok = True
for k in (255, 256, 1000):
    x = keras.ops.zeros((1, k), "float16")
    _, pull_back = vjp(keras.ops.softmax, x)
    got = float(pull_back(keras.ops.ones((1, k), "float16"))[0][0, 0])
    ok = ok and abs(got) < 1e-4
    print(f"{k} equal logits, cotangent of ones: observed {got}, exact 0")
print("keras", keras.__version__, "on", keras.backend.backend())
sys.exit(0 if ok else 1)
