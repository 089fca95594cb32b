"""Giant problems in NumPy, which computes 16-bit formats in float32."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Dict, Tuple

import numpy as np

from .given import Given
from .memory import HostMemory
from .protocol import Problem, Tensor

# Arrays of float32 (float64 for float64) of the size of the logits, measured (benchmarks/giant_memory.py), without the
# gradient and with it.
_ARRAYS = {
    "softmax": (7.5, 10.5),
    "log_softmax": (7.5, 10.5),
    "nll_loss": (6.5, 7.9),
    "cross_entropy": (7.6, 8.8),
}


class NumpyGiant:
    """The giant driver of the adapter that evaluates a problem of NumPy arrays."""

    def __init__(self, evaluate: Callable[[Problem, str, str], Dict[str, Any]]) -> None:
        self._evaluate = evaluate

    def bytes_each(self, op: str, dtype: str, *, gradient: bool) -> float:
        """Return the bytes at the peak for each logit."""
        return _ARRAYS[op][gradient] * (8 if dtype == "float64" else 4)

    def place(self, a: np.ndarray, dtype: str, device: str) -> np.ndarray:
        """Widen 16-bit formats to float32, exactly."""
        if a.dtype == np.uint16:
            wide: np.ndarray = np.left_shift(a, 16, dtype=np.uint32).view(np.float32)
            return wide
        return a.astype(np.float32) if a.dtype == np.float16 else a

    def compute(self, problem: Problem, given: Given, device: str, mode: str) -> Dict[str, Any]:
        """Compute as problems of any size are."""
        whole = replace(problem, x=given.x, target=given.target, cotangent=given.cotangent)
        return self._evaluate(whole, device, mode)

    def block(self, t: Tensor, index: Tuple[slice, ...]) -> np.ndarray:
        """Return a part."""
        return t.data[index]

    def dtype_of(self, t: Tensor) -> str:
        """Return the name of the dtype."""
        return t.dtype

    def memory(self, device: str) -> HostMemory:
        """Return the meter of the machine."""
        return HostMemory()
