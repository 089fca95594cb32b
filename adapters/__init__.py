"""Adapters: one module a framework, imported lazily. Nothing here imports the engine.

The names below are what an adapter is written with; :mod:`lossproof.adapters.protocol` documents them, and
:mod:`lossproof.adapters.program_adapter` the short way. They are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, List

if TYPE_CHECKING:
    from .program_adapter import ProgramAdapter
    from .protocol import (
        COMPOSED,
        DTYPES,
        ERROR_KINDS,
        LAYOUTS,
        MEANS,
        OPS,
        OUTPUTS,
        REDUCTIONS,
        Adapter,
        Capabilities,
        Description,
        Meter,
        Problem,
        ProcessLost,
        Support,
        Tensor,
        UnsupportedProblem,
    )
    from .traced import numpy_like

__all__ = [
    "COMPOSED",
    "DTYPES",
    "ERROR_KINDS",
    "LAYOUTS",
    "MEANS",
    "OPS",
    "OUTPUTS",
    "REDUCTIONS",
    "Adapter",
    "Capabilities",
    "Description",
    "Meter",
    "Problem",
    "ProcessLost",
    "ProgramAdapter",
    "Support",
    "Tensor",
    "UnsupportedProblem",
    "numpy_like",
]
_MODULES = {"ProgramAdapter": ".program_adapter", "numpy_like": ".traced"}


# Type checkers take a module with __getattr__ for one that has every name.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError("module %r has no attribute %r" % (__name__, name))
        globals()[name] = value = getattr(import_module(__name__ + _MODULES.get(name, ".protocol")), name)
        return value

    def __dir__() -> List[str]:
        return sorted(set(globals()) | set(__all__))
