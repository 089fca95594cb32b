# lossproof repro log_softmax/all/convention/clause-4/value --target onnxruntime
"""log_softmax in float64 and float32, shape (2, 4), with onnxruntime alone."""
# Observed with onnxruntime 1.27.0, onnx 1.23.2, numpy 2.4.6, python 3.11.7: limit|nan in float64 on onnxruntime; nan in float32 on onnxruntime
import numpy as np
import onnx.parser
import onnxruntime

x = np.array(list(map(float.fromhex, "inf 0x1.aac1p-2 0x1.ba81p-2 0x1.df8ep-1 -0x1.347p-3 0x1.0ab44p+0 0x1.9845p+0 0x1.7a38p-1".split())), np.float64).reshape((2, 4))

model = onnx.parser.parse_model('''<ir_version: 8, opset_import: ["" : 18]>
g (double[2, 4] x) => (double[2, 4] value) { value = LogSoftmax<axis=-1>(x) }''')
options = onnxruntime.SessionOptions()
session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=['CPUExecutionProvider'])
value, = session.run(None, {"x": x})
first = value.astype(float).tolist()[0][1]
x = np.array(list(map(float.fromhex, "inf 0x1.aac1p-2 0x1.ba81p-2 0x1.df8ep-1 -0x1.347p-3 0x1.0ab44p+0 0x1.9845p+0 0x1.7a38p-1".split())), np.float32).reshape((2, 4))
model = onnx.parser.parse_model('''<ir_version: 8, opset_import: ["" : 18]>
g (float[2, 4] x) => (float[2, 4] value) { value = LogSoftmax<axis=-1>(x) }''')
options = onnxruntime.SessionOptions()
session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=['CPUExecutionProvider'])
value, = session.run(None, {"x": x})
second = value.astype(float).tolist()[0][1]
right = first == second or (first != first and second != second)
print("value[0][1]: observed", first, "in float64 on onnxruntime,", second, "in float32 on onnxruntime")
print("onnxruntime", onnxruntime.__version__)
raise SystemExit(0 if right else 1)
