# lossproof repro log_softmax/float32/all_negative/n2-k4/f92bc1e5 --target pytensor+jax --simplify --deck smoke
"""log_softmax in float32, shape (1, 1), with pytensor alone."""
# Observed with pytensor 3.0.7, numpy 2.4.6, python 3.11.7: shape (1, 1), float64
import numpy as np
import pytensor
import pytensor.tensor as pt

x = np.array([0.0], np.float32).reshape((1, 1))
cotangent = np.array([1.0], np.float32).reshape((1, 1))

def graph():
    x = pt.tensor("x", dtype="float32", shape=(None, None))
    cotangent = pt.tensor("cotangent", dtype="float32", shape=(None, None))
    value = pt.special.log_softmax(x, axis=-1)
    vjp = pytensor.grad(None, x, known_grads={value: cotangent})
    return pytensor.function([x, cotangent], [value, vjp], mode="JAX", on_unused_input="ignore")

program = graph()

observed = str(np.asarray(program(x, cotangent)[1]).dtype)
right = "float32" in observed
print("dtype of vjp: observed", observed, "expected float32")
print("pytensor", __import__("importlib.metadata").metadata.version("pytensor"))
raise SystemExit(0 if right else 1)
