# lossproof repro softmax/float32/nan_row/n2-k4/b678757a --target ncnn:vulkan
"""softmax in float32, shape (2, 4), with ncnn alone."""
# Observed with ncnn 1.0.20261020, numpy 2.4.6, python 3.11.7: 0.0
import ncnn
import numpy as np

x = np.array(list(map(float.fromhex, "-0x1.8bd4p-4 0x1.ca48p-2 0x1.a00c8p-1 -0x1.1180ap+1 -0x1.ef3c8p-1 nan -0x1.68ec8p+0 0x1.94dd8p-1".split())), np.float32).reshape((2, 4))
net = ncnn.Net()
net.opt.use_vulkan_compute = True
net.opt.use_fp16_packed = False
net.opt.use_fp16_storage = False
net.opt.use_fp16_arithmetic = False
net.opt.use_bf16_storage = False
net.load_param_mem('7767517\n2 2\nInput x 0 1 x\nSoftmax softmax 1 1 x value 0=1 1=1\n')
net.load_model(ncnn.DataReaderFromEmpty())
extractor = net.create_extractor()
extractor.input("x", ncnn.Mat(x).clone())
value = np.array(extractor.extract("value")[1])
observed = value.astype(float).tolist()[1][0]
exact, allowed = float("nan"), 0.0
right = observed != observed
print("value[1, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("ncnn", ncnn.__version__)
raise SystemExit(0 if right else 1)
