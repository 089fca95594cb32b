# lossproof repro nll_loss/float32/error/13-minus-one-weighted-n2-k4-none-w/40e5f3ba --target onnx --simplify
"""nll_loss in float32, shape (2, 4), with onnx alone."""
# Observed with onnx 1.23.2, numpy 2.4.6, python 3.11.7: 1.5
import numpy as np
import onnx.parser
from onnx.reference import ReferenceEvaluator

def evaluated(model, feeds):
    return ReferenceEvaluator(onnx.parser.parse_model(model)).run(None, feeds)[0]

x = np.array(list(map(float.fromhex, "-0x1p+0 -0x1p+1 -0x1p-1 -0x1.8p+1 -0x1p-2 -0x1p+2 -0x1p+0 -0x1p+1".split())), np.float32).reshape((2, 4))
target = np.array([-1, 2], np.int64).reshape((2,))
weight = np.array(list(map(float.fromhex, "0x1p-1 0x1p+1 0x1p+0 0x1p+2".split())), np.float32).reshape((4,))

try:
    value = evaluated('''<ir_version: 10, opset_import: ["" : 22]>
    g (float[2, 4] x, int64[2] target, float[4] weight) => (float[2] value) { value = NegativeLogLikelihoodLoss<reduction="none">(x, target, weight) }''', {"x": x, "target": target, "weight": weight})
    observed = np.asarray(value).astype(float).tolist()[0]
    right = observed != observed
except Exception as error:
    observed, right = repr(error), True
print("value: observed", observed, "expected an error, as the input is invalid")
print("onnx", __import__("importlib.metadata").metadata.version("onnx"))
raise SystemExit(0 if right else 1)
