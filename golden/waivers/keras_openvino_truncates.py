# lossproof repro log_softmax/bfloat16/descending/n4-k1000/ce641f40 --target keras+openvino --simplify
"""log_softmax in bfloat16, shape (1, 250), with Keras on openvino alone."""
# Observed with keras 3.15.1, tensorflow-cpu 2.21.0, jax 0.10.2, jaxlib 0.10.2, torch 2.13.0+cpu, openvino 2026.4.1, numpy 2.4.6, python 3.11.7: -4.0
import base64, struct, zlib
import os
os.environ["KERAS_BACKEND"] = "openvino"
import keras
import numpy as np

def unpack(kind, text):  # numbers of a type of the module struct, compressed, in base 85
    return [v for v, in struct.iter_unpack("<" + kind, zlib.decompress(base64.b85decode(text)))]

x = keras.ops.convert_to_tensor(np.array(unpack("e", "c-jrZA+Vc35CBjl5{X12kw_#m5{X12BauiX64!L5?c8tklM5Wj-rnvEG7^c5L?V0hUjO6x8T`tAi$9U@zr<Ji*Z=3;+xvOHe9Q0PQ9kxZ{A{25GnTo$N+CBHzKU1-g4g~E$84;}Zd}J>jHhC1CYbigQ;|wlp=#BrUP<*<yE;`cM{_z~=4x)|+brj8K4xEsI@P(ZbfY^xXsI`SXm1IZWXYFuX_jFT%ew4~2LVJ7Lkbz>P(TS4)Nq9sIv79zzzQ3D-~`VECN!~0OlB^oFr}%?)ikCvgAqoW)x6Da4&$MZAx4;Bia8coVvP-U*yDf#C9b&PjvqYHw}FjpVpE&j!j`tSjcsjb2P>?!t9{$ee(YgA@+ojaiYRsxN-1-4x;O=uPDM3csc~BBsHefXk#Hn|v(nqyXm>tz&`BQq95^9I9CPBNoN>+<E}W7pr{*g++&UfiJn)T$BN=#g-n=<Gf1HC){tp7@Gi("), 'float64').reshape((1, 250)), "bfloat16")

value = keras.ops.convert_to_numpy(keras.ops.log_softmax(x, axis=-1))
observed = value.astype(float).tolist()[0][12]
exact, allowed = [-4.0450839568102115, -4.04508395681021], 0.04335828754591762
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0, 12]: observed", observed, "exact", exact, "allowed error", allowed)
print("keras", keras.__version__)
raise SystemExit(0 if right else 1)
