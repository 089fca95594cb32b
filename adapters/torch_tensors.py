"""The way of a problem through PyTorch: onto a device as tensors, through a computation, and exactly back.

Every computation on PyTorch's tensors goes this way: the adapters' own functions, and those that somebody else wrote.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Sequence

import torch

from . import torch_devices
from .given import Given
from .protocol import LAYOUTS, Problem
from .torch_compiled import original
from .torch_modes import Value, backward, forward_ad
from .torch_ops import DTYPES, placed, pulled

# PyTorch has no negative strides.
OFFERED_LAYOUTS = tuple(layout for layout in LAYOUTS if layout != "reversed")


def computed(p: Problem, device: str, outputs: Callable[[Given], Dict[str, Any]]) -> Dict[str, Any]:
    """Compute outputs of the tensors of a problem on a device, and pull them back; exceptions among them stay.

    Raises :class:`ProcessLost` where the device's context is lost, RuntimeError for a result on another device, and
    MemoryError for a problem that cannot fit.
    """
    with torch_devices.watched(device, error_kind):
        torch_devices.probe(p, device)
        out = outputs(placed(p, device))
        torch_devices.check(device, (t for t in out.values() if not isinstance(t, Exception)))
        return {name: t if isinstance(t, Exception) else pulled(t) for name, t in out.items()}


def derive(f: Value, g: Given, want: Sequence[str]) -> Dict[str, Any]:
    """Compute the value, gradients through autograd, directions by dual numbers where there are forward rules."""
    return {**backward(f, g, want), **forward_ad(f, g, want)}


def dtype(name: str) -> Any:
    """Return PyTorch's dtype of a format."""
    return DTYPES[name]


def is_tensor(a: Any) -> bool:
    """Tell whether something is a tensor of PyTorch."""
    return isinstance(a, torch.Tensor)


def is_cut_off(value: Any) -> bool:
    """Tell whether a value, computed of inputs that require gradients, has no graph to them."""
    return not value.requires_grad


def error_kind(error: Exception) -> str:
    """Classify an exception by its type first, then by the words of PyTorch's messages."""
    text = original(error)
    if isinstance(error, IndexError):
        return "bad_label" if text.startswith("Target ") else "bad_shape"
    if isinstance(error, NotImplementedError):
        return "bad_dtype" if "not implemented for" in text else "unsupported"
    if isinstance(error, (ValueError, RuntimeError, AssertionError)):
        # What a compiler wraps is a RuntimeError, too.
        return next((kind for words, kind in _MESSAGES if words in text), "internal")
    return "internal"


_MESSAGES = (
    ("out of memory", "resource"),
    ("can't allocate memory", "resource"),
    # All that the kernels of these operations assert is that labels are in range.
    ("device-side assert", "bad_label"),
    # Of a compiler, which does not know a size yet: nothing is wrong with the shapes.
    ("symbolic sizes", "internal"),
    ("label_smoothing", "bad_option"),
    ("valid value for reduction", "bad_option"),
    ("ignore_index", "bad_option"),
    ("out of bounds", "bad_label"),
    ("expected target dtype", "bad_dtype"),
    ("expected scalar type", "bad_dtype"),
    ("Expected dtype int", "bad_dtype"),
    ("floating point", "bad_dtype"),
    ("batch_size", "bad_shape"),
    ("weight tensor should be defined", "bad_shape"),
    ("shape", "bad_shape"),
    ("size", "bad_shape"),
    ("dimension", "bad_shape"),
    ("target tensor expected", "bad_shape"),
)
