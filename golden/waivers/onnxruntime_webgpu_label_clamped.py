# lossproof repro nll_loss/float32/error/13-k-n2-k4-none/49684a85 --target onnxruntime:webgpu
"""nll_loss in float32, shape (2, 4), with onnxruntime alone."""
# Observed with onnxruntime 1.27.0, onnx 1.23.2, numpy 2.4.6, python 3.11.7: 0.25
import numpy as np
import onnx.parser
import onnxruntime

x = np.array(list(map(float.fromhex, "-0x1p+0 -0x1p+1 -0x1p-1 -0x1.8p+1 -0x1p-2 -0x1p+2 -0x1p+0 -0x1p+1".split())), np.float32).reshape((2, 4))
target = np.array([4, 2], np.int32).reshape((2,))

try:
    model = onnx.parser.parse_model('''<ir_version: 8, opset_import: ["" : 18]>
    g (float[2, 4] x, int32[2] target) => (float[2] value) { value = NegativeLogLikelihoodLoss<reduction="none">(x, target) }''')
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=['WebGpuExecutionProvider'])
    value, = session.run(None, {"x": x, "target": target})
    observed = value.astype(float).tolist()[0]
    right = observed != observed
except Exception as error:
    observed, right = repr(error), True
print("value: observed", observed, "expected an error, as the input is invalid")
print("onnxruntime", onnxruntime.__version__)
raise SystemExit(0 if right else 1)
