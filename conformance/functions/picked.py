"""The one result among several that a function returns: which of them is judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lossproof.core.wrong_result import WrongResult

Pick = int | str | Callable[[Any], Any] | None


def picked(result: Any, pick: Pick, name: str) -> Any:
    """Return the result that ``pick`` says: an index, a name (key or attribute), or a function of all of them.

    Raises :class:`WrongResult` where there is no such thing.
    """
    if pick is None:
        return result
    if callable(pick):
        return pick(result)
    try:
        if isinstance(pick, int) or isinstance(result, Mapping):
            return result[pick]
        return getattr(result, pick)
    except (TypeError, KeyError, IndexError, AttributeError):
        raise WrongResult(
            f"pick={pick!r} says which result of {name} is judged, but it returns {_said(result)}"
        ) from None


def _said(result: Any) -> str:
    if isinstance(result, tuple | list):
        return f"{len(result)} results"
    if isinstance(result, Mapping):
        return f"a dict of {', '.join(map(repr, list(result)[:4]))}"
    return f"one {type(result).__name__}"
