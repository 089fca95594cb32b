"""keras: losses of labels convert them to the dtype of the logits, which rounds them, and take another class."""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

# The loss is log(e^8 + K - 1) - 8 at the class whose logit is 8, and 8 more at every other class.
EXACT = {("float16", 4096, 2049): 0.864458117873939, ("bfloat16", 1000, 257): 0.289026542203102}

ok = True
for (dtype, classes, label), exact in EXACT.items():
    x = 8 * keras.ops.one_hot([label], classes, dtype=dtype)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype=dtype)
    got = float(loss(keras.ops.convert_to_tensor([label]), x))
    ok = ok and abs(got - exact) < 0.02
    print(f"{dtype}, label {label}: observed {got}, exact {exact}")
print("keras", keras.__version__, "on", keras.backend.backend())
sys.exit(0 if ok else 1)
