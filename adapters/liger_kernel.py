"""Liger-Kernel: its cross-entropy, a kernel of Triton, in the interpreter of Triton where there is no GPU."""

from __future__ import annotations

from .protocol import Problem
from .torch_losses import Loss, TorchLosses, logits, options
from .torch_triton import INTERPRETED, INTERPRETED_LINES, OFFERED

_IMPORTS = (
    "import os",
    *INTERPRETED_LINES,
    "from liger_kernel.transformers.functional import liger_cross_entropy",
)


def _call(p: Problem) -> str:
    named = {name: name for name in ("weight", "ignore_index", "label_smoothing", "reduction")}
    # The kernel writes the gradient into what it is given.
    return "liger_cross_entropy(%s.clone(), target, %s)" % (logits(p, -1), options(p, **named))


# The interpreter cannot multiply with a weight. float64 is computed in float32.
_OPTIONS = ("ignore_index", "label_smoothing") if INTERPRETED else ("weight", "ignore_index", "label_smoothing")
ADAPTER = TorchLosses(
    "liger_kernel", "liger_kernel", _IMPORTS, {"cross-entropy": Loss(_call, _OPTIONS, offered=OFFERED)}
)
