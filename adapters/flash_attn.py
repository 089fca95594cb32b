"""flash-attn: its cross-entropy, a kernel of Triton, without the package's other parts, which need CUDA.

Where there is no GPU it runs in the interpreter of Triton, in float32.
"""

from __future__ import annotations

from .protocol import Problem
from .torch_losses import Loss, TorchLosses, logits, options, part
from .torch_triton import INTERPRETED, INTERPRETED_LINES, OFFERED

# The function asks for a device of CUDA, which the interpreter does not need.
_WITHOUT_CUDA = ("import contextlib, os", *INTERPRETED_LINES, "torch.cuda.device = contextlib.nullcontext")
_KERNEL = part("flash_attn", "ops/triton/cross_entropy.py")


def _call(p: Problem) -> str:
    given = options(p, label_smoothing="label_smoothing", ignore_index="ignore_index")
    return "cross_entropy.cross_entropy_loss(%s, target, %s)[0]" % (logits(p, -1), given)


_OFFERED = {**OFFERED, "reductions": ("none",), **({"dtypes": ("float32",)} if INTERPRETED else {})}
ADAPTER = TorchLosses(
    "flash_attn",
    "flash_attn",
    (*(_WITHOUT_CUDA if INTERPRETED else ()), *_KERNEL),
    {"cross-entropy": Loss(_call, ("ignore_index", "label_smoothing"), widens=True, offered=_OFFERED)},
)
