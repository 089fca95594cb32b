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
_known: dict[Any, Any] | None = None


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


def shared(f: Callable[P, R]) -> Callable[P, R]:
    """Make a function one whose results can be shared: arrays of it are read-only then, so that no one changes what
    another one gets."""

    @functools.wraps(f)
    def known(*args: P.args, **options: P.kwargs) -> R:
        if _known is None:
            return f(*args, **options)
        # A function has a hash of its own; two of one name are two.
        key = (f, *map(_key, args), *((name, _key(a)) for name, a in options.items()))
        if key not in _known:
            result = f(*args, **options)
            _protect(result, [*args, *options.values()])
            # What is known by its identity must live as long as that is a key.
            _known[key] = result, args, options
        found: R = _known[key][0]
        return found

    return known


def _key(a: Any) -> Any:
    if isinstance(a, np.ndarray):
        # The order of sums, and so the last bits of a result, depends on the order in memory.
        return a.dtype, a.shape, a.strides, a.tobytes()
    # A dataclass that holds arrays has no hash.
    return id(a) if is_dataclass(a) and any(isinstance(v, np.ndarray) for v in vars(a).values()) else a


def _protect(result: Any, given: list[Any]) -> None:
    """Make arrays read-only, but for those that are the caller's."""
    if isinstance(result, np.ndarray):
        if not any(result is a for a in given):
            result.setflags(write=False)
    elif isinstance(result, tuple):
        for part in result:
            _protect(part, given)
    elif is_dataclass(result):
        for f in fields(result):
            _protect(getattr(result, f.name), given)
