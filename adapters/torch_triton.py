"""The common parts of losses that are kernels of Triton: they run in its interpreter where there is no GPU."""

from __future__ import annotations

import os
from typing import Any, Mapping, Tuple

import torch

# Before Triton is imported, which reads it then.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
# A line of programs, after ``import os``, that has kernels interpreted in them, too.
INTERPRETED_LINES: Tuple[str, ...] = ('os.environ["TRITON_INTERPRET"] = "1"',) if INTERPRETED else ()
# What is on offer, of matrices: the interpreter cannot compute in bfloat16.
OFFERED: Mapping[str, Any] = {
    "ranks": (2,),
    "dtypes": ("float32", "float16") if INTERPRETED else ("float32", "bfloat16", "float16"),
    "outputs": ("value", "vjp"),
    "layouts": ("contiguous",),
    "laid": (),
    "online": True,
    "compile_cost": "none" if INTERPRETED else "cheap",
    "devices": ("cpu",) if INTERPRETED else ("cuda:0",),
}
