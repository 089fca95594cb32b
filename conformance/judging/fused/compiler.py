"""The compiler of loops, where there is one: Numba, an extra."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
# Set to 0, everything is computed with arrays.
SWITCH = "LOSSPROOF_COMPILED"


@cache
def is_available() -> bool:
    """Say whether loops can be compiled here: Numba is installed and not switched off."""
    return not missing()


@cache
def missing() -> str:
    """Say why loops are not compiled here; empty if they are."""
    if os.environ.get(SWITCH, "1") == "0":
        return f"{SWITCH}=0"
    try:
        import_module("numba")
    except ImportError as error:
        # It may be there and refuse a newer NumPy.
        return "numba is not installed" if error.name == "numba" else str(error)
    return ""


def compiled(f: Callable[P, R]) -> Callable[P, R]:
    """Compile a function of scalars and arrays when it is first called, and keep the result beside it on disk.

    IEEE arithmetic as written: no reassociation, no fused multiply-add. Without a compiler it stays a Python function.
    """
    if not is_available():
        return f
    numba: Any = import_module("numba")
    try:
        made: Callable[P, R] = numba.njit(cache=True, error_model="numpy")(f)
    except RuntimeError:
        # No folder to write to, neither beside the module nor the user's: it is compiled in every run.
        made = numba.njit(error_model="numpy")(f)
    return made
