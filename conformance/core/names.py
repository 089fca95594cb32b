"""Names given by a user, checked against the ones that exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from lossproof.core.errors import UsageError


def known_names(what: str, given: Iterable[str], known: Sequence[str]) -> None:
    """Raise :class:`UsageError` for the first unknown name, with the nearest known one."""
    for name in given:
        if name not in known:
            raise UsageError(f"unknown {what} {name!r}; {meant(name, known)}expected one of {', '.join(known)}")


def meant(name: str, known: Sequence[str]) -> str:
    """Ask whether a known name like an unknown one was meant; nothing where none is like it."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}? " if near else ""
