"""PyTorch's ``linear_cross_entropy``, with the identity as its weight: the hidden states are the logits."""

from __future__ import annotations

from typing import Any, Mapping

import torch.nn.functional

from .protocol import Problem
from .torch_losses import Loss, TorchLosses, identity_fails, logits, options

if not hasattr(torch.nn.functional, "linear_cross_entropy"):
    raise ImportError("torch.nn.functional.linear_cross_entropy came with torch 2.13", name="torch")


def _call(more: str) -> Any:
    def call(p: Problem) -> str:
        eye = "torch.eye(%d, dtype=x.dtype, device=x.device)" % p.x.shape[p.axis]
        named = {name: name for name in ("weight", "ignore_index", "label_smoothing", "reduction")}
        if p.has_probability_target:
            del named["ignore_index"]
        where = "target" + logits(p, -1)[1:] if p.has_probability_target else "target"
        function = "torch.nn.functional.linear_cross_entropy"
        return "%s(%s, %s, %s, %s%s)" % (function, logits(p, -1), eye, where, options(p, **named), more)

    return call


_OPTIONS = ("weight", "ignore_index", "label_smoothing")
_OFFERED: Mapping[str, Any] = {"ranks": (1, 2)}
# Gradients are made in the forward pass, and stay where they may be asked for again.
_CHUNKED: Mapping[str, Any] = {**_OFFERED, "outputs": ("value", "vjp", "vjp_again")}


def _chunked_refuses(p: Problem) -> str:
    return "label_smoothing takes the other path" if p.label_smoothing else identity_fails(p)


ADAPTER = TorchLosses(
    "torch_linear",
    "torch",
    (),
    {
        "reference": Loss(_call(""), _OPTIONS, ("index", "probability"), refused=identity_fails, offered=_OFFERED),
        "chunked": Loss(
            _call(", options=torch.nn.LinearCrossEntropyOptions(allow_retain_graph=True)"),
            _OPTIONS,
            refused=_chunked_refuses,
            offered=_CHUNKED,
        ),
    },
)
