"""The place of a function: the file or the module, and the name in it, under which another process finds it."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from lossproof.adapters.local import from_file
from lossproof.core.errors import UsageError
from lossproof.core.import_lines import held_at


def place_of(function: Any, name: str) -> str:
    """Return ``module:NAME`` or ``file.py:NAME``. Raises :class:`UsageError` for what has no such name: a lambda, a
    function inside another, an object that no module holds."""
    owner = getattr(function, "__self__", None)
    is_apply = getattr(function, "__name__", "") == "apply" and isinstance(owner, type)
    named = owner if is_apply else function
    module, qualified = getattr(named, "__module__", None), getattr(named, "__qualname__", None)
    if module is None or qualified is None or _found(module, qualified) is not named:
        module, qualified = held_at(named) or (None, None)
    if module is None or qualified is None:
        file, qualified = _in_file(named)
        if file and qualified:
            return f"{file}:{qualified}.apply" if is_apply else f"{file}:{qualified}"
        what = "a lambda" if getattr(function, "__name__", "") == "<lambda>" else "no name of a module"
        raise UsageError(
            f"isolate=True starts another process, which imports {name} by its name; this is {what}: define it at the "
            "top of a file, or leave isolate out (--in-process)"
        )
    where = f"{_importable(module)}:{qualified}"
    return f"{where}.apply" if is_apply else where


def loaded(place: str) -> Any:
    """Import what is at a place. Whatever its import raises passes through."""
    module, _, qualified = place.rpartition(":")
    found: Any = from_file(module) if module.endswith(".py") else importlib.import_module(module)
    for part in qualified.split("."):
        found = getattr(found, part)
    return found


def _found(module: str, qualified: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in qualified.split("."):
        found = getattr(found, part, None)
    return found


def _in_file(value: Any) -> tuple[str, str]:
    """The file whose top level has a function, and its name there, where the module of that file is another one by
    now: it was run twice, or its name is taken."""
    inside = getattr(value, "__globals__", {})
    file, name = inside.get("__file__") or "", getattr(value, "__qualname__", "")
    return (os.path.abspath(file), name) if file.endswith(".py") and inside.get(name) is value else ("", "")


def _importable(module: str) -> str:
    if module != "__main__":
        return module
    file = getattr(sys.modules["__main__"], "__file__", None)
    if not file or not file.endswith(".py"):
        raise UsageError("isolate=True needs a function in a file; one of an interactive session cannot be imported")
    return os.path.abspath(file)
