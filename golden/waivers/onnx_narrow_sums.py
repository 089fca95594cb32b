# lossproof repro softmax/float16/stagnation/s1x17x24-ax1/36ecfd22 --target onnx --simplify
"""softmax in float16, shape (1, 6, 2), with onnx alone."""
# Observed with onnx 1.23.2, numpy 2.4.6, python 3.11.7: 1.0
import numpy as np
import onnx.parser
from onnx.reference import ReferenceEvaluator

def evaluated(model, feeds):
    return ReferenceEvaluator(onnx.parser.parse_model(model)).run(None, feeds)[0]

x = np.array(list(map(float.fromhex, "0x0p+0 0x0p+0".split() + ["-0x1.e8p+2"] * 10)), np.float16).reshape((1, 6, 2))

value = evaluated('''<ir_version: 10, opset_import: ["" : 22]>
g (float16[1, 6, 2] x) => (float16[1, 6, 2] value) { value = Softmax<axis=1>(x) }''', {"x": x})
observed = np.asarray(value).astype(float).tolist()[0][0][0]
exact, allowed = [0.9975654652066469, 0.9975654652066471], 0.0019609638316772093
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0, 0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("onnx", __import__("importlib.metadata").metadata.version("onnx"))
raise SystemExit(0 if right else 1)
