# lossproof repro softmax/float32/nan_row/s1x17x24-ax1/8839ab19 --target openvino --simplify
"""softmax in float32, shape (1, 2, 1), with openvino alone."""
# Observed with openvino 2026.4.1, numpy 2.4.6, python 3.11.7: 0.0
import numpy as np
import openvino as ov
from openvino import opset13

def infer(operation, x, axis):
    parameter = opset13.parameter(x.shape, x.dtype)
    model = ov.Model([operation(parameter, axis % x.ndim)], [parameter])
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    return ov.compile_model(model, "CPU", options)([x])[0]

x = np.array(list(map(float.fromhex, "0x0p+0 nan".split())), np.float32).reshape((1, 2, 1))

value = infer(opset13.softmax, x, 1)
observed = np.asarray(value).astype(float).tolist()[0][0][0]
exact, allowed = float("nan"), 0.0
right = observed != observed
print("value[0, 0, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("openvino", __import__("importlib.metadata").metadata.version("openvino"))
raise SystemExit(0 if right else 1)
