# lossproof repro softmax/float32/nan_row/n2-k4/b678757a --target onnxruntime:webgpu
"""softmax in float32, shape (2, 4), with onnxruntime alone."""
# Observed with onnxruntime 1.27.0, onnx 1.23.2, numpy 2.4.6, python 3.11.7: 0.0
import numpy as np
import onnx.parser
import onnxruntime

x = np.array(list(map(float.fromhex, "-0x1.8bd4p-4 0x1.ca48p-2 0x1.a00c8p-1 -0x1.1180ap+1 -0x1.ef3c8p-1 nan -0x1.68ec8p+0 0x1.94dd8p-1".split())), np.float32).reshape((2, 4))

model = onnx.parser.parse_model('''<ir_version: 8, opset_import: ["" : 18]>
g (float[2, 4] x) => (float[2, 4] value) { value = Softmax<axis=-1>(x) }''')
options = onnxruntime.SessionOptions()
options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=['WebGpuExecutionProvider'])
value, = session.run(None, {"x": x})
observed = value.astype(float).tolist()[1][0]
exact, allowed = float("nan"), 0.0
right = observed != observed
print("value[1, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("onnxruntime", onnxruntime.__version__)
raise SystemExit(0 if right else 1)
