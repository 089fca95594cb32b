"""Ids of cases: ``OP/DTYPE/FAMILY/DETAIL/DIGEST``, and those that bear on several calls."""

from __future__ import annotations

FAMILY = "convention"


_OF_ALL = f"/all/{FAMILY}/"


def is_of_implementation(id: str) -> bool:
    """Whether an observation is about an implementation, all its targets together, and bears its name."""
    return _OF_ALL in id


RELATION, ERROR = "relation", "error"
