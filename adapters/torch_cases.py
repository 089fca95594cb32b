"""The samples of PyTorch's OpInfo for the four functions of the family, on the CPU, in every dtype of the protocol.

They come without answers: PyTorch's tests compare with other functions of it.
"""

from __future__ import annotations

from typing import Any, Iterator, Tuple

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

from .peers import PeerCase
from .protocol import DTYPES, Problem

PACKAGE = "torch"
_OPS = {
    "softmax": "softmax",
    "log_softmax": "log_softmax",
    "nn.functional.cross_entropy": "cross_entropy",
    "nn.functional.nll_loss": "nll_loss",
}
# The label that is ignored where nothing else is said.
_IGNORED = -100


def cases() -> Iterator[PeerCase]:
    """Yield the samples of each function and dtype, drawn from the seed 0."""
    for info in op_db:
        if info.name not in _OPS:
            continue
        for dtype in DTYPES:
            torch.manual_seed(0)
            for i, sample in enumerate(info.sample_inputs("cpu", getattr(torch, dtype))):
                title = " ".join(filter(None, (info.name, info.variant_test_name, dtype, str(i))))
                problem, reason = _of_sample(_OPS[info.name], dtype, sample)
                yield PeerCase(title, problem, reason=reason)


def _of_sample(op: str, dtype: str, sample: Any) -> Tuple[Any, str]:
    """A sample as a problem, or why it is none."""
    x, given = sample.input, dict(sample.kwargs)
    if not x.ndim:
        return None, "its input has no axis"
    if op in ("softmax", "log_softmax"):
        axis = sample.args[0] if sample.args else given.pop("dim")
        wide = str(given.pop("dtype", "torch." + dtype)).partition(".")[2]
        if given:
            return None, "it has the arguments %s" % ", ".join(given)
        return Problem(op, dtype, _exact(x), axis=axis, out_dtype=None if wide == dtype else wide), ""
    target = sample.args[0]
    weight, ignored = given.pop("weight", None), given.pop("ignore_index", None)
    options = {name: given.pop(name) for name in ("reduction", "label_smoothing") if name in given}
    if given:
        return None, "it has the arguments %s" % ", ".join(given)
    if ignored is None and not target.is_floating_point() and bool((target == _IGNORED).any()):
        ignored = _IGNORED
    label = _exact(target) if target.is_floating_point() else target.numpy()
    axis = 1 if x.ndim > 1 else 0
    w = None if weight is None else _exact(weight)
    return Problem(op, dtype, _exact(x), label, w, axis=axis, ignore_index=ignored, **options), ""


def _exact(t: Any) -> np.ndarray:
    found: np.ndarray = t.detach().double().contiguous().numpy()
    return found
