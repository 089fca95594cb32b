"""Giant problems on JAX."""

from __future__ import annotations

from typing import Any, Callable, Dict, Tuple

import jax
import numpy as np

from . import compose
from .given import Given
from .jax_modes import TYPES
from .memory import HostMemory
from .protocol import LOSSES, Problem, UnsupportedProblem

# Arrays of the size of the logits, measured on CPUs (benchmarks/giant_memory.py): op by op every intermediate is one,
# of losses in float32 or wider.
_ARRAYS = {False: 4.4, True: 7.2}
_NARROW = {False: 3.8, True: 7.9}
_LOSSES = {"nll_loss": {False: 3.4, True: 4.0}, "cross_entropy": {False: 4.4, True: 5.7}}


class JaxGiant:
    """The giant driver of an adapter that computes the outputs of a problem, given arrays and a mode."""

    def __init__(self, evaluate: Callable[[Problem, Given, str], Dict[str, Any]]) -> None:
        self._evaluate = evaluate

    def bytes_each(self, op: str, dtype: str, *, gradient: bool) -> float:
        """Return the bytes at the peak for each logit."""
        if op in LOSSES:
            return _LOSSES[op][gradient] * max(4, TYPES[dtype].itemsize)
        size: int = TYPES[dtype].itemsize
        return (_NARROW if size < 4 else _ARRAYS)[gradient] * size

    def place(self, a: np.ndarray, dtype: str, device: str) -> Any:
        """Make an array on a device."""
        return jax.device_put(a.view(TYPES[dtype]) if a.dtype == np.uint16 else a, _device(device))

    def compute(self, problem: Problem, given: Given, device: str, mode: str) -> Dict[str, Any]:
        """Compute in a mode, and wait for it."""
        if mode == "where":
            raise UnsupportedProblem("mode where takes no giant problems")
        compose.check_labels(problem)
        with jax.default_device(_device(device)):
            out: Dict[str, Any] = jax.block_until_ready(self._evaluate(problem, given, mode))
            return out

    def block(self, t: Any, index: Tuple[slice, ...]) -> np.ndarray:
        """Return a part exactly. On a CPU an array is looked at where it is; a slice of JAX's would be compiled."""
        a = np.asarray(t)[index]
        return a if a.dtype == np.float64 else a.astype(np.float32)

    def dtype_of(self, t: Any) -> str:
        """Return the name of the dtype."""
        return str(t.dtype)

    def memory(self, device: str) -> HostMemory:
        """Return the meter of the machine, or of an accelerator."""
        return HostMemory() if device.startswith("cpu") else _DeviceMemory(_device(device))


# The name that it has in the module of every framework.
Driver = JaxGiant


class _DeviceMemory(HostMemory):
    """The memory of an accelerator, whose peak is that of the process."""

    def __init__(self, device: Any) -> None:
        self._device = device

    def available(self) -> int:
        """Return the bytes that are free, on the device and here, where arrays are made first."""
        stats = self._stats()
        return min(stats.get("bytes_limit", 1 << 62) - stats.get("bytes_in_use", 0), super().available())

    def begin(self) -> int:
        """Return the bytes that are held."""
        return self._stats().get("bytes_in_use", 0)

    def peak(self) -> int:
        """Return the most bytes that were held."""
        return self._stats().get("peak_bytes_in_use", 0)

    def _stats(self) -> Dict[str, int]:
        return dict(self._device.memory_stats() or {})


def _device(device: str) -> Any:
    kind, _, index = device.partition(":")
    return jax.devices(kind)[int(index or 0)]
