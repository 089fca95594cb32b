# lossproof repro softmax/float16/all_negative/s1x17x24/dd15749f --target tinygrad:cl
"""softmax in float16, shape (1, 17, 24), with tinygrad alone."""
# Observed with tinygrad 0.14.0, numpy 2.4.6, python 3.11.7: 0.0
import base64, struct, zlib
import numpy as np
from tinygrad import Tensor

def unpack(kind, text):  # numbers of a type of the module struct, compressed, in base 85
    return [v for v, in struct.iter_unpack("<" + kind, zlib.decompress(base64.b85decode(text)))]

x = Tensor(np.array(unpack("e", "c-nPRQ5FOt2tvC5P3I6ZwOQcS^CL@9#Nvt1@EMnf;l(=B&#cVox1G!R4ynOmI|o(^7SXPhH)Wx9P^u>?4CVZOS(Q&*a2}<gVOUx&Ev{2gGz!xabDDi~RcK692}*a(r70c4p>Dg)zW+UZ$}o1gDwQajZs*-{>99TD##S9=9vryp59HcakGFBQ1MdFUs}3Fg0(}R0U;"), np.float16).reshape((1, 17, 24)), device="CL").realize()

value = x.softmax(axis=-1)
observed = value.numpy().astype(float).tolist()[0][6][5]
exact, allowed = [5.3453867749034945e-05, 5.345386774903496e-05], 7.193153262395898e-07
right = exact[0] - allowed <= observed <= exact[1] + allowed
print("value[0, 6, 5]: observed", observed, "exact", exact, "allowed error", allowed)
print("tinygrad", __import__("importlib.metadata").metadata.version("tinygrad"))
raise SystemExit(0 if right else 1)
