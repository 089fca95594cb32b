# written by hand: what it shows ends a process, so that it has one of its own
"""nll_loss in float32, shape (2 ** 24, 1), with paddle alone."""
# Observed with paddle 3.3.1, numpy 2.4.6, python 3.11.7: SIGSEGV
import os
import signal

import numpy as np
import paddle
import paddle.nn.functional as F

n = 2**24
x = paddle.to_tensor(np.full((n, 1), -1, np.float32))
labels = np.zeros(n, np.int64)
labels[-1] = -100
target = paddle.to_tensor(labels)
paddle.disable_signal_handler()
child = os.fork()
if not child:
    F.nll_loss(x, target, reduction="sum").numpy()
    os._exit(0)
ended = os.waitpid(child, 0)[1] & 127
print("value: observed", signal.Signals(ended).name if ended else "an answer", "expected a sum of 16777215 losses of 1")
print("paddle", paddle.__version__)
raise SystemExit(1 if ended else 0)
