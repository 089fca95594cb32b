# lossproof repro softmax/all/convention/clause-4/value --target mindspore
"""softmax in float32 and float16, shape (2, 4), with mindspore alone."""
# Observed with mindspore 2.10.0, numpy 1.26.4, python 3.11.7: limit|nan in float32 on mindspore; nan in float16 on mindspore
import numpy as np
import mindspore as ms
from mindspore import ops
ms.runtime.launch_blocking()
cases = [
    ms.Tensor(np.array(list(map(float.fromhex, "-0x1.fe1c8p-1 0x1.57f88p-1 inf -0x1.27228p+0 0x1.9ea4p-2 inf 0x1.4908cp+0 0x1.397fp+0".split())), np.float32).reshape((2, 4))),
    ms.Tensor(np.array(list(map(float.fromhex, "-0x1.fep-1 0x1.58p-1 inf -0x1.274p+0 0x1.9ecp-2 inf 0x1.49p+0 0x1.398p+0".split())), np.float16).reshape((2, 4))),
]
seen = []
for x in cases:
    value = ops.softmax(x, axis=-1)
    seen.append(value.numpy().astype(float).tolist()[0][0])
first, second = seen
right = first == second or (first != first and second != second) or abs(first - second) <= 1.1920928955088967e-07
print("value[0][0]: observed", first, "in float32 on mindspore,", second, "in float16 on mindspore")
print("mindspore", __import__("importlib.metadata").metadata.version("mindspore"))
raise SystemExit(0 if right else 1)
