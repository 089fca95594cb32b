# lossproof repro softmax/float32/near_overflow/n2-k4/5de654fb --target ncnn:vulkan
"""softmax in float32, shape (2, 4), with ncnn alone."""
# Observed with ncnn 1.0.20261020, numpy 2.4.6, python 3.11.7: nan
import ncnn
import numpy as np

x = np.array(list(map(float.fromhex, "0x1.83fffep+127 0x1.f1fffep+127 0x1.5cfffep+127 0x1.47fffep+127 -0x1.c2fffep+127 -0x1.09fffep+127 -0x1.b4fffep+127 -0x1.e0fffep+127".split())), np.float32).reshape((2, 4))
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
exact, allowed = [-1e-323, 1e-323], 3.52648305247007e-38
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[1, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("ncnn", ncnn.__version__)
raise SystemExit(0 if right else 1)
