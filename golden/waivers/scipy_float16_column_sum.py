# lossproof repro log_softmax/float16/stagnation/s1x17x24-ax1/55767158 --target scipy --simplify
"""log_softmax in float16, shape (1, 4, 2), with scipy alone."""
# Observed with scipy 1.17.1, numpy 2.4.6, python 3.11.7: 0.0
import numpy as np
from scipy import special

x = np.array([0.0, 0.0] + [-8.0] * 6, np.float16).reshape((1, 4, 2))

value = special.log_softmax(x, axis=1)
observed = np.asarray(value).astype(float).tolist()[0][0][0]
exact, allowed = [-0.001005881814927165, -0.0010058818149271645], 0.0009833355003467169
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0, 0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("scipy", __import__("importlib.metadata").metadata.version("scipy"))
raise SystemExit(0 if right else 1)
