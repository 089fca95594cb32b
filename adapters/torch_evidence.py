"""The evidence about PyTorch: versions, threads, the instruction set, and the flags that can change bits."""

from __future__ import annotations

import os
import platform
from typing import Dict

import numpy as np
import torch

from . import processor, torch_devices


def versions() -> Dict[str, str]:
    """Return the versions of PyTorch, NumPy and the interpreter."""
    return {"torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version()}


def facts() -> Dict[str, str]:
    """Return everything else that can change bits."""
    found = {
        "threads": str(torch.get_num_threads()),
        "mkldnn": str(torch.backends.mkldnn.is_available()),
        "deterministic": str(torch.are_deterministic_algorithms_enabled()),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", ""),
    }
    cpu = getattr(torch.backends, "cpu", None)
    if cpu is not None:
        found["cpu"] = cpu.get_cpu_capability()
    found["isa"] = processor.of_torch(found.get("cpu", os.environ.get("ATEN_CPU_CAPABILITY", "")))
    found["onednn"] = processor.of_onednn() if torch.backends.mkldnn.is_available() else "off"
    return {**found, **processor.limits(), **torch_devices.facts()}
