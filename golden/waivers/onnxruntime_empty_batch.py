# lossproof repro cross_entropy/float16/ordinary/n0-k3-sum/54bb1c2a --target onnxruntime
"""cross_entropy in float16, shape (0, 3), with onnxruntime alone."""
# Observed with onnxruntime 1.27.0, onnx 1.23.2, numpy 2.4.6, python 3.11.7: Fail: [ONNXRuntimeError] : 1 : FAIL : Node () Op (Reshape) [ShapeInferenceError] Invalid Target s...
import numpy as np
import onnx.parser
import onnxruntime

x = np.array([], np.float16).reshape((0, 3))
target = np.array([], np.int64).reshape((0,))

exact, allowed = 0.0, 0.0
try:
    model = onnx.parser.parse_model('''<ir_version: 8, opset_import: ["" : 18]>
    g (float16[0, 3] x, int64[0] target) => (float16[] value) { value = SoftmaxCrossEntropyLoss<reduction="sum">(x, target) }''')
    options = onnxruntime.SessionOptions()
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=['CPUExecutionProvider'])
    value, = session.run(None, {"x": x, "target": target})
    observed = value.astype(float).tolist()
    right = abs(observed - exact) <= allowed
except Exception as error:
    observed, right = repr(error), False
print("value: observed", observed, "exact", exact, "allowed error", allowed)
print("onnxruntime", onnxruntime.__version__)
raise SystemExit(0 if right else 1)
