"""What several correct implementations compute of the same arrays is computed once, where somebody asks for that."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any, ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
R = TypeVar("R")
Array = np.ndarray[Any, Any]
_known: dict[Any, Any] | None = None
# Arrays that no one changes, by their identity, which is theirs as long as they are here.
_fixed: dict[int, Array] = {}


@contextmanager
def shared_steps() -> Iterator[None]:
    """Within, a function that is :func:`shared` returns for equal arguments what it has returned before.

    For controls alone, call by call: they depend on nothing but their arguments. A mutant may.
    """
    global _known
    _known = {}
    try:
        yield
    finally:
        _known = None
        _fixed.clear()


def fix(a: Array) -> Array:
    """Make an array read-only. Where steps are shared it is known by its identity from then on, not by its content."""
    a.setflags(write=False)
    if _known is not None:
        _fixed[id(a)] = a
    return a


def shared(f: Callable[P, R]) -> Callable[P, R]:
    """Make a function one whose results can be shared: arrays of it are read-only then, so that no one changes what
    another one gets."""

    @functools.wraps(f)
    def known(*args: P.args, **options: P.kwargs) -> R:
        if _known is None:
            return f(*args, **options)
        # A function has a hash of its own; two of one name are two.
        key = (f, *map(_key, args), *[(name, _key(a)) for name, a in options.items()])
        found = _known.get(key)
        if found is None:
            result = f(*args, **options)
            _protect(result, [*args, *options.values()])
            # What is known by its identity must live as long as that is a key.
            found = _known[key] = result, args, options
        return found[0]

    return known


def _key(a: Any) -> Any:
    if isinstance(a, np.ndarray):
        if id(a) in _fixed:
            return id(a)
        # The order of sums, and so the last bits of a result, depends on the order in memory.
        return a.dtype, a.shape, a.strides, a.tobytes()
    # A dataclass that holds arrays has no hash, and one that holds steps a slow one.
    return id(a) if hasattr(a, "__dataclass_fields__") else a


def _protect(result: Any, given: list[Any]) -> None:
    """Make arrays read-only, but for those that are the caller's."""
    if isinstance(result, np.ndarray):
        if not any(result is a for a in given):
            fix(result)
    elif isinstance(result, tuple):
        for part in result:
            _protect(part, given)
    elif is_dataclass(result):
        for f in fields(result):
            _protect(getattr(result, f.name), given)
