"""PyTorch's mode ``large``: the rows of a problem, repeated on the device until an index of 32 bits does not reach the
last ones, which are the results.

Rows do not depend on each other, so that truth and bound are those of the problem. Sums over rows are left out.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Dict, Sequence

import torch

from .given import Given, batching
from .protocol import Problem, UnsupportedProblem
from .torch_modes import Value, backward

# Elements that are passed by; a rehearsal on a CPU sets a smaller number.
VARIABLE = "LOSSPROOF_LARGE"
_ELEMENTS = 2**31
# Of the size of the logits: these, the cotangent, the value, the gradient, and two that come and go.
_ARRAYS = 6


def offered(device: str) -> bool:
    """Tell whether a device has the mode: CUDA has it, and the others where a number of elements is set."""
    return device.startswith("cuda") or VARIABLE in os.environ


def evaluate(f: Value, p: Problem, g: Given, want: Sequence[str]) -> Dict[str, Any]:
    """Compute value and gradient of the repeated rows, and return those of the last copy.

    Raises UnsupportedProblem for a row without a batch, and where the memory of the device is too small for any.
    """
    rows, want = batching(p).rows, [name for name in want if name in ("value", "vjp")]
    if rows is None:
        if p.x.size:
            raise UnsupportedProblem("one row alone is not repeated")
        return backward(f, g, want)
    copies = 2 + int(os.environ.get(VARIABLE, _ELEMENTS)) // p.x.size
    need = copies * (_ARRAYS * g.x.numel() * g.x.element_size() + (0 if g.target is None else 16 * g.target.numel()))
    if g.x.is_cuda and need > torch.cuda.mem_get_info(g.x.device)[1]:
        raise UnsupportedProblem("the device has not the %d GiB that it takes" % (need >> 30))
    reduced = rows - (p.axis % p.x.ndim < rows) if p.is_loss else rows
    labels = reduced if not p.has_probability_target else rows
    places = {"x": rows, "target": labels, "cotangent": reduced}
    several = {name: _repeated(getattr(g, name), place, copies) for name, place in places.items()}
    out = backward(f, replace(g, **several), want)
    return {name: _last(t, reduced if name == "value" else rows, copies) for name, t in out.items()}


def _repeated(t: Any, place: int, copies: int) -> Any:
    if t is None:
        return None
    return t.repeat(*(copies if i == place else 1 for i in range(t.dim())))


def _last(t: Any, place: int, copies: int) -> Any:
    n = t.shape[place] // copies
    # A copy: a slice would keep the whole.
    return t.detach().narrow(place, t.shape[place] - n, n).clone()
