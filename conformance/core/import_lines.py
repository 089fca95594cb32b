"""The lines of a program that import a caller's function, and how it is named there."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Any


def imports_of(function: Any, name: str) -> Iterator[str]:
    """Write the lines that import a function, or one that says to put it in where nothing can be imported."""
    place = _place(function)
    if place is None:
        yield f"# {callable_text(function, name)} = ...  (your {name}, which has no name to import)"
        return
    module, root = place
    if module == "__main__":
        file = getattr(sys.modules["__main__"], "__file__", None) or "your script"
        yield f"# {root} is that of {file}"
    else:
        yield f"from {module} import {root}"


def callable_text(function: Any, name: str) -> str:
    """Write how a function is named after its import."""
    place = _place(function)
    if place is None:
        return name if name.isidentifier() else "function"
    return getattr(function, "__qualname__", place[1]) if inspect.isroutine(function) else place[1]


def _place(function: Any) -> tuple[str, str] | None:
    """The module and the name in it from which a function or an object is reached; None for lambdas and closures."""
    module, qualified = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    owner = getattr(function, "__self__", None)
    if isinstance(owner, type) and getattr(function, "__name__", "") == "apply":
        module, qualified = owner.__module__, f"{owner.__qualname__}.apply"
    if inspect.isroutine(function) and module is not None and qualified and "<" not in qualified:
        root = qualified.partition(".")[0]
        return (module, root) if hasattr(sys.modules.get(module), root) else None
    return None if inspect.isroutine(function) else held_at(function)


def held_at(value: Any) -> tuple[str, str] | None:
    """Find the module that holds an object, and its name there; the caller's own modules come first."""
    own = [
        name
        for name, m in list(sys.modules.items())
        if "site-packages" not in (getattr(m, "__file__", None) or "site-packages")
    ]
    for module in ("__main__", *own):
        for name, held in list(vars(sys.modules.get(module, inspect)).items()):
            if held is value:
                return module, name
    return None
