# lossproof repro log_softmax/float16/equal/n1-k70000/62a74c75 --target scipy --simplify
"""log_softmax in float16, shape (1, 70000), with scipy alone."""
# Observed with scipy 1.17.1, numpy 2.4.6, python 3.11.7: -inf
import numpy as np
from scipy import special

x = np.array([0.0] * 70000, np.float16).reshape((1, 70000))

value = special.log_softmax(x, axis=-1)
observed = np.asarray(value).astype(float).tolist()[0][0]
exact, allowed = [-11.156250521039281, -11.15625052102371], 0.016057334100049604
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("scipy", __import__("importlib.metadata").metadata.version("scipy"))
raise SystemExit(0 if right else 1)
