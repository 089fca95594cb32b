"""The gradient of softmax with ggml alone, of arrays of shape (2, 1, 1, 2) that NumPy counts as contiguous."""
# Observed with ggml-python 0.0.45 (ggml 0.15.3), numpy 2.4.6: 0.25
import ggml
import numpy as np
from ggml.utils import from_numpy, to_numpy

context = ggml.ggml_init(ggml.ggml_init_params(mem_size=2**21))
# Moving an axis of length 1 to the end and back leaves another stride there; it is never used in NumPy.
cotangent, softmax = (np.moveaxis(a.reshape((2, 1, 2, 1)), 2, -1) for a in np.float32([[0, 1, 0, 1], [0.5] * 4]))
assert cotangent.flags.c_contiguous
assert softmax.flags.c_contiguous
given = [from_numpy(a, context) for a in (cotangent, softmax)]
result = ggml.ggml_soft_max_ext_back(context, *given, 1.0, 0.0)
graph = ggml.ggml_new_graph(context)
ggml.ggml_build_forward_expand(graph, result)
ggml.ggml_graph_compute_with_ctx(context, graph, 1)
observed = to_numpy(result).ravel().tolist()
exact = [-0.25, 0.25, -0.25, 0.25]
print("gradient: observed", observed, "exact", exact)
print("strides: observed", list(given[0].contents.nb), "of a contiguous tensor [4, 8, 8, 8]")
print("ggml-python", __import__("importlib.metadata").metadata.version("ggml-python"))
raise SystemExit(0 if np.allclose(observed, exact) else 1)
