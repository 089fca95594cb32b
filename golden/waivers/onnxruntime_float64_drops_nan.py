# lossproof repro log_softmax/float64/nan_row/n2-k4/dd6a0d0d --target onnxruntime
"""log_softmax in float64, shape (2, 4), with onnxruntime alone."""
# Observed with onnxruntime 1.27.0, onnx 1.23.2, numpy 2.4.6, python 3.11.7: 46.051701891615394
import numpy as np
import onnx.parser
import onnxruntime

x = np.array(list(map(float.fromhex, "-0x1.9dd2p+0 0x1.5e31p-1 -0x1.30624p+0 -0x1.9ae18p-1 0x1.0bd88p-1 nan -0x1.f8a8p-5 0x1.5acecp+0".split())), np.float64).reshape((2, 4))

model = onnx.parser.parse_model('''<ir_version: 8, opset_import: ["" : 18]>
g (double[2, 4] x) => (double[2, 4] value) { value = LogSoftmax<axis=-1>(x) }''')
options = onnxruntime.SessionOptions()
session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=['CPUExecutionProvider'])
value, = session.run(None, {"x": x})
observed = value.astype(float).tolist()[1][0]
exact, allowed = float("nan"), 0.0
right = observed != observed
print("value[1, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("onnxruntime", onnxruntime.__version__)
raise SystemExit(0 if right else 1)
