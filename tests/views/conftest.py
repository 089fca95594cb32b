"""One browser for all pages of a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.browser import chromium


# As long as a file: what has an open page uses a processor also while other files are tested.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    yield from chromium()
