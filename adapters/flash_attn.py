"""flash-attn: its cross-entropy, a kernel of Triton, without the package's other parts, which need CUDA.

Where there is no GPU it runs in the interpreter of Triton, in float32.
"""

from __future__ import annotations

import os
from typing import Any, Mapping

import torch

from .protocol import Problem
from .torch_losses import Loss, TorchLosses, logits, options, part

# Before Triton is imported, which reads it then.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
# The function asks for a device of CUDA, which the interpreter does not need.
_WITHOUT_CUDA = (
    "import contextlib, os",
    'os.environ["TRITON_INTERPRET"] = "1"',
    "torch.cuda.device = contextlib.nullcontext",
)
_KERNEL = part("flash_attn", "ops/triton/cross_entropy.py")


def _call(p: Problem) -> str:
    given = options(p, label_smoothing="label_smoothing", ignore_index="ignore_index")
    return "cross_entropy.cross_entropy_loss(%s, target, %s)[0]" % (logits(p, -1), given)


_OFFERED: Mapping[str, Any] = {
    "ranks": (2,),
    "dtypes": ("float32",) if _INTERPRETED else ("float32", "bfloat16", "float16"),
    "reductions": ("none",),
    "outputs": ("value", "vjp"),
    "layouts": ("contiguous",),
    "laid": (),
    "online": True,
    "compile_cost": "none" if _INTERPRETED else "cheap",
    "devices": ("cpu",) if _INTERPRETED else ("cuda:0",),
}
ADAPTER = TorchLosses(
    "flash_attn",
    "flash_attn",
    (*(_WITHOUT_CUDA if _INTERPRETED else ()), *_KERNEL),
    {"cross-entropy": Loss(_call, ("ignore_index", "label_smoothing"), widens=True, offered=_OFFERED)},
)
