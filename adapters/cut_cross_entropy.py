"""Cut Cross-Entropy: its loss of hidden states and a classifier, with the identity as the classifier's weight."""

from __future__ import annotations

from typing import Any, Mapping

import torch

from .protocol import Problem
from .torch_linear import identity_fails
from .torch_losses import Loss, TorchLosses, logits, options


def _call(impl: str) -> Any:
    def call(p: Problem) -> str:
        eye = "torch.eye(%d, dtype=x.dtype, device=x.device)" % p.x.shape[p.axis]
        given = options(p, ignore_index="ignore_index", reduction="reduction")
        return 'linear_cross_entropy(%s, %s, target, %s, impl="%s")' % (logits(p, -1), eye, given, impl)

    return call


_OFFERED: Mapping[str, Any] = {
    "ranks": (2,),
    "dtypes": ("float32", "bfloat16", "float16"),
    "outputs": ("value", "vjp"),
    "compile_cost": "dear",
}
# The kernel of Triton computes with 16 bits, on CUDA alone, and does not run in Triton's interpreter.
_KERNEL: Mapping[str, Any] = {**_OFFERED, "dtypes": ("bfloat16", "float16"), "devices": ("cuda:0",), "online": True}
_MODES = {
    "torch-compile": Loss(
        _call("torch_compile"), ("ignore_index",), widens=True, refused=identity_fails, offered=_OFFERED
    )
}
if torch.cuda.is_available():
    _MODES["cce"] = Loss(_call("cce"), ("ignore_index",), widens=True, refused=identity_fails, offered=_KERNEL)
ADAPTER = TorchLosses(
    "cut_cross_entropy",
    "cut_cross_entropy",
    ("from cut_cross_entropy import linear_cross_entropy",),
    _MODES,
)
