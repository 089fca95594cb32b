"""Giant problems on PyTorch: bits become tensors in place, and results are read in blocks."""

from __future__ import annotations

from typing import Any, Callable, Dict, Tuple

import numpy as np
import torch

from . import torch_devices, torch_switches
from .given import Given
from .memory import HostMemory
from .protocol import Problem
from .torch_ops import DTYPES, NAMES
from .torch_tensors import error_kind

# Tensors of the size of the logits, measured on CPUs (benchmarks/giant_memory.py): the input, the result; for the
# gradient the cotangent and what comes back; of losses the log-probabilities in place of the result, and their
# gradient.
_ARRAYS = {False: 2.1, True: 4.2}
_NLL = {False: 1.1, True: 2.1}
# Softmax of long rows in 16 bits has them in float32 meanwhile.
_SOFTMAX_16 = {False: 4.1, True: 5.1}


class TorchGiant:
    """The giant driver of an adapter that computes the outputs of a problem, given tensors and a mode."""

    def __init__(self, outputs: Callable[[Problem, Given, str], Dict[str, Any]]) -> None:
        self._outputs = outputs

    def bytes_each(self, op: str, dtype: str, *, gradient: bool) -> float:
        """Return the bytes at the peak for each logit."""
        size = torch.empty(0, dtype=DTYPES[dtype]).element_size()
        if op == "nll_loss":
            return _NLL[gradient] * size
        return (_SOFTMAX_16 if op == "softmax" and size == 2 else _ARRAYS)[gradient] * size

    def place(self, a: np.ndarray, dtype: str, device: str) -> Any:
        """Make a tensor, which shares the memory of the array on a CPU."""
        if a.dtype == np.uint16:
            # Releases differ in the unsigned integers that they have.
            return torch.from_numpy(a.view(np.int16)).view(DTYPES[dtype]).to(device)
        return torch.from_numpy(a).to(device)

    def compute(self, problem: Problem, given: Given, device: str, mode: str) -> Dict[str, Any]:
        """Compute in a mode, as problems of any size are."""
        with torch_switches.switched(mode, problem, device), torch_devices.watched(device, error_kind):
            out = self._outputs(problem, given, mode)
            torch_devices.check(device, (t for t in out.values() if not isinstance(t, Exception)))
        return out

    def block(self, t: Any, index: Tuple[slice, ...]) -> np.ndarray:
        """Return a part exactly."""
        part = t.detach()[index].cpu()
        found: np.ndarray = (part if part.dtype == torch.float64 else part.float()).numpy()
        return found

    def dtype_of(self, t: Any) -> str:
        """Return the name of the dtype."""
        return NAMES.get(t.dtype, str(t.dtype))

    def memory(self, device: str) -> HostMemory:
        """Return the meter of a device; those of other accelerators than CUDA have none of their own."""
        return _CudaMemory(device) if device.startswith("cuda") else HostMemory()


# The name that it has in the module of every framework.
Driver = TorchGiant


class _CudaMemory(HostMemory):
    """The memory of a CUDA device."""

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)

    def available(self) -> int:
        """Return the bytes that are free, on the device and here, where tensors are made first."""
        torch.cuda.empty_cache()
        return min(int(torch.cuda.mem_get_info(self._device)[0]), super().available())

    def begin(self) -> int:
        """Set the peak back, and return the bytes that are held."""
        torch.cuda.reset_peak_memory_stats(self._device)
        return int(torch.cuda.memory_allocated(self._device))

    def peak(self) -> int:
        """Return the most bytes that were held since."""
        return int(torch.cuda.max_memory_allocated(self._device))
