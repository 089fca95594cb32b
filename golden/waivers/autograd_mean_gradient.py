# written by hand: the adapter rounds its gradients
"""The gradient of a mean in float32, with autograd alone."""
# Observed with autograd 1.9.1, numpy 2.4.6, python 3.11.7: float64
import numpy as np
import autograd.numpy as anp
from autograd import grad

x = np.array([1.0, 2.0], np.float32)
observed = {f.__name__: str(grad(f)(x).dtype) for f in (anp.mean, anp.max, anp.sum)}
right = set(observed.values()) == {"float32"}
print("dtypes of gradients: observed", observed, "expected float32")
print("autograd", __import__("importlib.metadata").metadata.version("autograd"))
raise SystemExit(0 if right else 1)
