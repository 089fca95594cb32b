"""The exception for a result that is none: it is the answer of a function, and no fault of the suite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class WrongResult(Exception):  # noqa: N818 (an answer of the function)
    """Something is returned that cannot be judged: the message says what, and what was expected."""


def kind_of(a: Any) -> str:
    """Say in words what something is that should be a tensor: ``None``, ``a tuple of 2 (Tensor, Tensor)``."""
    if a is None:
        return "None"
    if isinstance(a, tuple | list):
        return f"a {type(a).__name__} of {len(a)} ({', '.join(type(v).__name__ for v in a[:4])})"
    if isinstance(a, Mapping):
        return f"a {type(a).__name__} of {', '.join(map(repr, list(a)[:4]))}"
    article = "an" if type(a).__name__[:1].lower() in "aeiou" else "a"
    return f"{article} {type(a).__name__}"
