# written by hand: the deck asks for one convention, this shows a row of two
"""softmax of a row with an infinite logit in float32, with openvino alone."""
# Observed with openvino 2026.4.1, numpy 2.4.6, python 3.11.7: [0.0, nan]
import numpy as np
import openvino as ov
from openvino import opset13

x = np.array([[0.0, np.inf]], np.float32)
parameter = opset13.parameter(x.shape, x.dtype)
model = ov.Model([opset13.softmax(parameter, 1)], [parameter])
observed = ov.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([x])[0][0].tolist()
right = observed == [0.0, 1.0] or all(v != v for v in observed)
print("observed", observed, "exact [0, 1], or [nan, nan]")
print("openvino", __import__("importlib.metadata").metadata.version("openvino"))
raise SystemExit(0 if right else 1)
