"""Liger-Kernel: its cross-entropy, a kernel of Triton, in the interpreter of Triton where there is no GPU."""

from __future__ import annotations

import os
from typing import Any, Mapping

import torch

from .protocol import Problem
from .torch_losses import Loss, TorchLosses, logits, options

# Before Triton is imported, which reads it then.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
_IMPORTS = (
    "import os",
    *(('os.environ["TRITON_INTERPRET"] = "1"',) if _INTERPRETED else ()),
    "from liger_kernel.transformers.functional import liger_cross_entropy",
)


def _call(p: Problem) -> str:
    named = {name: name for name in ("weight", "ignore_index", "label_smoothing", "reduction")}
    # The kernel writes the gradient into what it is given.
    return "liger_cross_entropy(%s.clone(), target, %s)" % (logits(p, -1), options(p, **named))


# The interpreter can neither multiply with a weight nor in bfloat16. float64 is computed in float32.
_OPTIONS = ("ignore_index", "label_smoothing") if _INTERPRETED else ("weight", "ignore_index", "label_smoothing")
_OFFERED: Mapping[str, Any] = {
    "ranks": (2,),
    "dtypes": ("float32", "float16") if _INTERPRETED else ("float32", "bfloat16", "float16"),
    "outputs": ("value", "vjp"),
    "layouts": ("contiguous",),
    "laid": (),
    "online": True,
    "compile_cost": "none" if _INTERPRETED else "cheap",
    "devices": ("cpu",) if _INTERPRETED else ("cuda:0",),
}
ADAPTER = TorchLosses(
    "liger_kernel", "liger_kernel", _IMPORTS, {"cross-entropy": Loss(_call, _OPTIONS, offered=_OFFERED)}
)
