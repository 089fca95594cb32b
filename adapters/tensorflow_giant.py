"""Giant problems on TensorFlow."""

from __future__ import annotations

from typing import Any, Callable, Dict, Tuple

import numpy as np
import tensorflow as tf

from . import compose
from .given import Given
from .memory import HostMemory
from .protocol import Problem, UnsupportedProblem
from .tensorflow_modes import TYPES, is_native

# Tensors of the size of the logits, measured on CPUs (benchmarks/giant_memory.py): what is placed takes twice its size.
# A loss and its gradient are computed together; what is composed is in float32 or wider, with masks.
_NATIVE = {False: 4.0, True: 7.0}
_CROSS_ENTROPY = {False: 3.9, True: 4.2}
_COMPOSED = {False: 3.2, True: 6.5}


class TensorFlowGiant:
    """The giant driver of an adapter that computes the outputs of a problem, given tensors and a mode."""

    def __init__(self, evaluate: Callable[[Problem, Given, str], Dict[str, Any]]) -> None:
        self._evaluate = evaluate

    def bytes_each(self, op: str, dtype: str, *, gradient: bool) -> float:
        """Return the bytes at the peak for each logit."""
        if op == "nll_loss":
            return _COMPOSED[gradient] * max(4, TYPES[dtype].size)
        return (_CROSS_ENTROPY if op == "cross_entropy" else _NATIVE)[gradient] * TYPES[dtype].size

    def place(self, a: np.ndarray, dtype: str, device: str) -> Any:
        """Make a tensor."""
        with tf.device(_place(device)):
            return tf.constant(a.view(TYPES[dtype].as_numpy_dtype) if a.dtype == np.uint16 else a)

    def compute(self, problem: Problem, given: Given, device: str, mode: str) -> Dict[str, Any]:
        """Compute in a mode that needs no switch of the whole process."""
        if mode in ("tf32", "deterministic"):
            raise UnsupportedProblem("mode %s takes no giant problems" % mode)
        if not is_native(problem):
            compose.check_labels(problem)
        with tf.device(_place(device)):
            return self._evaluate(problem, given, mode)

    def block(self, t: Any, index: Tuple[slice, ...]) -> np.ndarray:
        """Return a part exactly."""
        a: np.ndarray = (t[index] if index else t).numpy()
        return a if a.dtype == np.float64 else a.astype(np.float32)

    def dtype_of(self, t: Any) -> str:
        """Return the name of the dtype."""
        return str(t.dtype.name)

    def memory(self, device: str) -> HostMemory:
        """Return the meter of the machine, or of a GPU."""
        kind, _, index = device.partition(":")
        return _GpuMemory("GPU:%s" % (index or "0")) if kind == "gpu" else HostMemory()


# The name that it has in the module of every framework.
Driver = TensorFlowGiant


class _GpuMemory(HostMemory):
    """The memory of a GPU. TensorFlow does not say what is free there: too little is its own answer."""

    def __init__(self, device: str) -> None:
        self._device = device

    def begin(self) -> int:
        """Set the peak back, and return the bytes that are held."""
        tf.config.experimental.reset_memory_stats(self._device)
        return int(tf.config.experimental.get_memory_info(self._device)["current"])

    def peak(self) -> int:
        """Return the most bytes that were held since."""
        return int(tf.config.experimental.get_memory_info(self._device)["peak"])


def _place(device: str) -> str:
    kind, _, index = device.partition(":")
    return "/%s:%s" % (kind.upper(), index or "0")
