"""keras: the mean of float16 losses is a sum in float16 divided by a count in float16."""

import math
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

# Every row of [20, 0] with label 1 has the loss 20 + log(1 + e^-20); two equal logits have log 2.
EXACT = {(8192, 20.0): 20.0000000020612, (65520, 0.0): 0.693147180559945}

ok = True
for (rows, logit), exact in EXACT.items():
    x = keras.ops.repeat(keras.ops.convert_to_tensor([[logit, 0.0]], dtype="float16"), rows, axis=0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype="float16")
    got = float(loss(keras.ops.ones((rows,), "int32"), x))
    ok = ok and math.isclose(got, exact, rel_tol=0.01)
    print(f"{rows} rows [{logit}, 0]: observed {got}, exact {exact}")
print("keras", keras.__version__, "on", keras.backend.backend())
sys.exit(0 if ok else 1)
