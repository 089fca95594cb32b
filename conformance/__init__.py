"""lossproof: a conformance suite for the softmax family of losses.

The names below, and those of ``lossproof.adapters``, are the Python interface; ``docs/public-api.md`` says what else
semantic versioning covers. They are imported when they are first used, because the command line and pytest import this
module each time they start.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossproof.api import check_implementation, run
    from lossproof.core.errors import UsageError
    from lossproof.core.observation import Observation
    from lossproof.core.variant import Variant
    from lossproof.functions.enclosed import Enclosed, Enclosures, enclose
    from lossproof.functions.gradients import gradcheck
    from lossproof.running.report import Report

__version__ = "0.2.0"
__all__ = [
    "Enclosed",
    "Enclosures",
    "Observation",
    "Report",
    "UsageError",
    "Variant",
    "__version__",
    "check_implementation",
    "enclose",
    "gradcheck",
    "run",
]

_MODULES = {
    "Enclosed": "lossproof.functions.enclosed",
    "Enclosures": "lossproof.functions.enclosed",
    "Observation": "lossproof.core.observation",
    "Report": "lossproof.running.report",
    "UsageError": "lossproof.core.errors",
    "Variant": "lossproof.core.variant",
    "check_implementation": "lossproof.api",
    "enclose": "lossproof.functions.enclosed",
    "gradcheck": "lossproof.functions.gradients",
    "run": "lossproof.api",
}


# Type checkers take a module with __getattr__ for one that has every name.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value = getattr(import_module(_MODULES[name]), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
