# lossproof repro nll_loss/float32/error/10-no-rows-none-n0-k4-none/e6e378c8 --target onnx --simplify
"""nll_loss in float32, shape (0, 4), with onnx alone."""
# Observed with onnx 1.23.2, numpy 2.4.6, python 3.11.7: ValueError: cannot reshape array of size 0 into shape (0,4,newaxis)
import numpy as np
import onnx.parser
from onnx.reference import ReferenceEvaluator

def evaluated(model, feeds):
    return ReferenceEvaluator(onnx.parser.parse_model(model)).run(None, feeds)[0]

x = np.array([], np.float32).reshape((0, 4))
target = np.array([], np.int64).reshape((0,))
cotangent = np.array([], np.float32).reshape((0,))

try:
    value = evaluated('''<ir_version: 10, opset_import: ["" : 22]>
    g (float[0, 4] x, int64[0] target) => (float[0] value) { value = NegativeLogLikelihoodLoss<reduction="none">(x, target) }''', {"x": x, "target": target})
    observed = np.asarray(value).astype(float).tolist()
    right = True
except Exception as error:
    observed, right = repr(error), False
print("value: observed", observed, "expected an answer")
print("onnx", __import__("importlib.metadata").metadata.version("onnx"))
raise SystemExit(0 if right else 1)
