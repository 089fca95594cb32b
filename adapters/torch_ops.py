"""PyTorch's own functions for the operations, the tensors that they take, and how results are pulled back."""

from __future__ import annotations

from typing import Any, Callable, Optional

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's own convention)

from . import layouts
from .given import Given
from .protocol import ARRAYS, Problem, Tensor
from .watch import seen

DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def function(p: Problem) -> Callable[[Any, Any, Any, int], Any]:
    """Return the value of a problem as a function of input, target, weight and the label to be ignored.

    Options are read here, once: a compiler sees plain constants.
    """
    op, scale = _operation(p), p.scale
    if scale == 1.0:
        return op
    return lambda x, target, weight, ignore: op(x * scale, target, weight, ignore)


def _operation(p: Problem) -> Callable[[Any, Any, Any, int], Any]:
    axis, reduction, eps, dtype = p.axis, p.reduction, p.label_smoothing, DTYPES.get(p.out_dtype or "")
    if p.op == "softmax":
        return lambda x, target, weight, ignore: F.softmax(x, dim=axis, dtype=dtype)
    if p.op == "log_softmax":
        return lambda x, target, weight, ignore: F.log_softmax(x, dim=axis, dtype=dtype)
    place = min(1, p.x.ndim - 1)
    omit = p.omit
    moved, nll, dense = axis % p.x.ndim != place, p.op == "nll_loss", p.has_probability_target

    def loss(x: Any, target: Any, weight: Any, ignore: int) -> Any:
        if dtype is not None:
            x = x.to(dtype)
        if moved:
            x = x.movedim(axis, place)
            target = target.movedim(axis, place) if dense else target
        if omit:
            return (F.nll_loss if nll else F.cross_entropy)(x, target, **({} if weight is None else {"weight": weight}))
        if nll:
            return F.nll_loss(x, target, weight, ignore_index=ignore, reduction=reduction)
        return F.cross_entropy(x, target, weight, ignore_index=ignore, reduction=reduction, label_smoothing=eps)

    return loss


def placed(p: Problem, device: str) -> Given:
    """Place the tensors of a problem on a device, some of them in its layout."""

    def put(a: Optional[np.ndarray], dtype: str) -> Any:
        # Labels keep their own type: whether it is accepted is PyTorch's answer.
        kind = None if a is None or a.dtype.kind != "f" else DTYPES[dtype]
        return None if a is None else torch.tensor(a, dtype=kind, device=device)

    tensors = {name: put(getattr(p, name), p.dtype_of_input(name)) for name in ARRAYS}
    tensors.update({name: layouts.lay(tensors[name], plan) for name, plan in layouts.of_problem(p).items()})
    return seen(Given(**tensors), memory)


def memory(t: torch.Tensor) -> bytes:
    """Return all memory that a tensor lies in, its neighbours' included."""
    t = t.detach()
    whole = getattr(t, "untyped_storage", None)
    if whole is not None:
        t = t.as_strided((whole().nbytes() // t.element_size(),), (1,), 0)
    # NumPy has no bfloat16; widened, every bit of it shows.
    found: bytes = (t.cpu().double() if t.is_floating_point() else t.cpu()).numpy().tobytes()
    return found


def pulled(t: torch.Tensor) -> Tensor:
    """Pull an output back exactly."""
    # Copying to the host waits for the device. MPS has no float64: widen on the host.
    return Tensor(t.detach().cpu().double().numpy(), NAMES.get(t.dtype, str(t.dtype)))
