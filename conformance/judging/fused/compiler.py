"""The compiler of loops, where there is one: Numba, an extra."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
# Set to 0, everything is computed with arrays.
SWITCH = "LOSSPROOF_COMPILED"


@cache
def is_available() -> bool:
    """Say whether loops can be compiled here: Numba is installed and not switched off."""
    return os.environ.get(SWITCH, "1") != "0" and find_spec("numba") is not None


def compiled(f: Callable[P, R]) -> Callable[P, R]:
    """Compile a function of scalars and arrays when it is first called, and keep the result beside it on disk.

    IEEE arithmetic as written: no reassociation, no fused multiply-add. Without a compiler it stays a Python function.
    """
    if not is_available():
        return f
    numba: Any = import_module("numba")
    made: Callable[P, R] = numba.njit(cache=True, error_model="numpy")(f)
    return made
