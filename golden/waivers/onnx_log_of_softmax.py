# lossproof repro log_softmax/float32/cliff/n2-k4/e83ea5a8 --target onnx --simplify
"""log_softmax in float32, shape (1, 2), with onnx alone."""
# Observed with onnx 1.23.2, numpy 2.4.6, python 3.11.7: -inf
import numpy as np
import onnx.parser
from onnx.reference import ReferenceEvaluator

def evaluated(model, feeds):
    return ReferenceEvaluator(onnx.parser.parse_model(model)).run(None, feeds)[0]

x = np.array([-104.0, 0.0], np.float32).reshape((1, 2))

value = evaluated('''<ir_version: 10, opset_import: ["" : 22]>
g (float[1, 2] x) => (float[1, 2] value) { value = LogSoftmax<axis=-1>(x) }''', {"x": x})
observed = np.asarray(value).astype(float).tolist()[0][0]
exact, allowed = [-104.00000000000001, -103.99999999999999], 1.2814999287525448e-05
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("onnx", __import__("importlib.metadata").metadata.version("onnx"))
raise SystemExit(0 if right else 1)
