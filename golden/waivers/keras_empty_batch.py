"""keras: sum and mean of the losses of no rows have the shape (0,) of those losses, not that of a number."""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

ok = True
for reduction, exact in (("sum", "0"), ("sum_over_batch_size", "NaN")):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)
    got = tuple(loss(keras.ops.zeros((0,), "int32"), keras.ops.zeros((0, 4))).shape)
    ok = ok and got == ()
    print(f"{reduction}: observed shape {got}, exact {exact} of shape ()")
print("keras", keras.__version__, "on", keras.backend.backend())
sys.exit(0 if ok else 1)
