"""keras on tensorflow: log_softmax in 16-bit formats and softmax in float16 add up a row in the 16-bit format."""

import os
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

# log p of the 0 in [0, -5.5625 x 3], +/- 1e-16; of 70000 equal logits p is 1/70000.
EXACT, TINY = -0.0114516779427231, 1 / 70000

x = keras.ops.convert_to_tensor([[0.0, -5.5625, -5.5625, -5.5625]], dtype="bfloat16")
got = float(keras.ops.log_softmax(x)[0, 0])
print(f"bfloat16 log_softmax: observed {got}, exact {EXACT}")
p = float(keras.ops.softmax(keras.ops.zeros((1, 70000), "float16"))[0, 0])
print(f"float16 softmax of 70000 equal logits: observed {p}, exact {TINY}")
print("keras", keras.__version__, "on", keras.backend.backend())
sys.exit(0 if got != 0.0 and p != 0.0 else 1)
