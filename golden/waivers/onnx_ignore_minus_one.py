# lossproof repro nll_loss/float32/ordinary/n4-k4-mean-ig-1/4eb5433f --target onnx --simplify
"""nll_loss in float32, shape (2, 1), with onnx alone."""
# Observed with onnx 1.23.2, numpy 2.4.6, python 3.11.7: 1.5
import numpy as np
import onnx.parser
from onnx.reference import ReferenceEvaluator

def evaluated(model, feeds):
    return ReferenceEvaluator(onnx.parser.parse_model(model)).run(None, feeds)[0]

x = np.array([-3.0, -3.0], np.float32).reshape((2, 1))
target = np.array([-1, 0], np.int64).reshape((2,))

value = evaluated('''<ir_version: 10, opset_import: ["" : 22]>
g (float[2, 1] x, int64[2] target) => (float[] value) { value = NegativeLogLikelihoodLoss<reduction="mean", ignore_index=-1>(x, target) }''', {"x": x, "target": target})
observed = np.asarray(value).astype(float).tolist()
exact, allowed = 3.0, 8.940697302514534e-07
right = abs(observed - exact) <= allowed
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("onnx", __import__("importlib.metadata").metadata.version("onnx"))
raise SystemExit(0 if right else 1)
