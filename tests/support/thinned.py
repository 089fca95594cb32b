"""What is long is thinned in the runs of every change, and whole at night: with ``LOSSPROOF_ALL_TESTS`` set."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeVar

import pytest

T = TypeVar("T")

WHOLE = bool(os.environ.get("LOSSPROOF_ALL_TESTS"))

# Of a test, or of one of its parameters, that says more of what another test says some of.
nightly = pytest.mark.skipif(not WHOLE, reason="a part of it is tested; LOSSPROOF_ALL_TESTS tests all of it (nightly)")


def thinned(items: Iterable[T], *, to: int) -> list[T]:
    """Return all items, or each one of ``to`` where the tests are not whole."""
    return [*items][:: 1 if WHOLE else to]


def at_least(count: int, *, to: int) -> int:
    """Return how many of ``count`` are left where there is one of ``to``."""
    return count if WHOLE else count // to
