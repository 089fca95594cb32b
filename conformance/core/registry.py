"""Registries without side effects: what modules define is collected from them, by type and in order."""

from __future__ import annotations

from types import ModuleType
from typing import TypeVar

_T = TypeVar("_T")


def collected(kind: type[_T], *modules: ModuleType) -> list[_T]:
    """Collect the objects of a type that modules define at their top level, in the order of modules and definitions.

    Raises :class:`ValueError` for a module that defines none: a registry that lost its entries is an error.
    """
    found: list[_T] = []
    for module in modules:
        own = [value for value in vars(module).values() if isinstance(value, kind)]
        if not own:
            raise ValueError(f"{module.__name__} defines no {kind.__name__}")
        found += own
    return found
